// What the pages do beyond HTML. Everything works without it.

// The browser's time zone: in a cookie, so that a visitor sees times in their own zone, and in the forms that ask.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax${secure}`;
  for (const field of document.querySelectorAll('input[type="hidden"][name="time_zone"]')) {
    field.value ||= zone;
  }
  // A first visit that begins at a calendar: shown again by the clock here.
  if (document.querySelector("[data-zone-unknown]")) {
    const here = new URL(location.href);
    here.searchParams.set("zone", zone);
    location.replace(here);
  }
}

// A form is sent once, however often its button is pressed. Coming back to the page frees it again.
addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// After a form is refused, go to the first field that is wrong.
document.querySelector('.field [aria-invalid="true"]')?.focus();
