// Dark, light, or as the system has it; the choice stays in this browser.

const ORDER = ["auto", "dark", "light"];
const WORDS = { auto: "Auto", dark: "Dark", light: "Light" };

const stored = () => {
  try {
    return localStorage.getItem("meshlens-theme");
  } catch {
    return null; // storage may be forbidden
  }
};

export function setUpTheme(button, changed) {
  let theme = ORDER.includes(stored()) ? stored() : "auto";
  const apply = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `◐ ${WORDS[theme]}`;
    button.setAttribute("aria-label", `Colours: ${WORDS[theme]}`);
    changed();
  };
  button.addEventListener("click", () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    try {
      localStorage.setItem("meshlens-theme", theme);
    } catch {
      // then it is forgotten with the page
    }
    apply();
  });
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", changed);
  apply();
}
