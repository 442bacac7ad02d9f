// What stands in the page as it was served gives way when the page itself shows as much.

const first = document.getElementById("first");
const kept = (() => { try { return localStorage.getItem(`stActiveTheme-${location.pathname}-v2`) || ""; } catch { return ""; } })();
const dark = kept.includes("Dark") || (!kept.includes("Light") && matchMedia("(prefers-color-scheme: dark)").matches);

function giveWay() {
  const main = document.querySelector("[data-testid=stMain]");
  if (main) main.scrollTop = first.scrollTop;
  first.remove();
  window.subrandomFirst = null;
}

let settledAt;

function look() {
  if (!window.subrandomFirst) return;
  const settled = "[data-test-script-state=notRunning] [data-testid=stMain] [data-testid=stElementContainer]";
  const now = performance.now();
  if (document.querySelector(`#root ${settled}`)) settledAt ??= now;
  // A page may be settled before its browser has drawn all of it, or without what was expected.
  const ready = now - settledAt > 1500 || document.querySelector(`#root ${first.dataset.until}`);
  const at = document.activeElement;
  const asking = at?.form && at.value && first.contains(at);  // Enter asks it
  if (now > 20000 || (ready && !asking)) giveWay();
  else requestAnimationFrame(look);
}

window.subrandomFirst = { dark, giveWay };
first.classList.toggle("sw-dark", dark);
look();
