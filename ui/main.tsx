/** Reaches for the browser, once, and hands it to the models. */
import { render } from "preact";
import { Root } from "./app.tsx";
import { openBrowserSocket } from "./live.ts";
import { createApp } from "./models/app.ts";
import { showTextPlainly } from "./show-plainly.ts";

const NOTE = "migrate.return";

const app = createApp({
  clock: {
    now: () => Date.now(),
    after(delayMs, run) {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
  },
  fetch: (path, init) => fetch(path, init),
  openSocket: openBrowserSocket,
  address: {
    read: () => location.pathname + location.search,
    push: (path) => history.pushState(null, "", path),
    replace: (path) => history.replaceState(null, "", path),
  },
  origin: location.origin,
  timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  random: () => Math.random(),
  uuid: randomId,
  copy: (text) => navigator.clipboard.writeText(text),
  goBack: () => history.back(),
  reload: () => location.reload(),
  note: { read: () => storage()?.getItem(NOTE) ?? null, write: writeNote },
});

addEventListener("popstate", () => app.router.moved());
// A laptop that wakes or a phone that finds its network again should not wait out a back-off.
addEventListener("online", () => app.live.retryNow());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") app.live.retryNow();
});

showTextPlainly();
void app.session.load();
const place = document.getElementById("app");
if (place !== null) render(<Root app={app} />, place);

/** Null where the browser is told to keep nothing, which it says by throwing. */
function storage(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

function writeNote(text: string | null): void {
  if (text === null) storage()?.removeItem(NOTE);
  else storage()?.setItem(NOTE, text);
}

/** `crypto.randomUUID` is there only on https and localhost; a technician may open a test stack by its address in the LAN. */
function randomId(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
