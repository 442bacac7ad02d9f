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

function look() {
  if (!window.subrandomFirst) return;
  const settled = "[data-test-script-state=notRunning] [data-testid=stMain] [data-testid=stElementContainer]";
  const there = document.querySelector(`#root ${first.dataset.until}, #root ${settled}`);
  if (there || performance.now() > 20000) giveWay();
  else requestAnimationFrame(look);
}

window.subrandomFirst = { dark, giveWay };
first.classList.toggle("sw-dark", dark);
look();
