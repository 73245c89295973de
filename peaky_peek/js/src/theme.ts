/** Colours and fonts of the page the view stands in: JupyterLab's, then VS Code's, then our own. */
import type { Unsubscribe } from "./model";
import { FAMILIES, FAMILY_COLORS, type Family } from "./vocabulary";

export interface Theme {
  dark: boolean;
  background: string;
  text: string;
  dim: string;
  line: string;
  accent: string;
  suspect: string;
  family: Record<Family, string>;
  font: string;
  mono: string;
}

const OURS = {
  light: {
    background: "#ffffff",
    text: "#1f2328",
    dim: "#5c6570",
    line: "#dfe3e8",
    accent: "#1a6fd0",
    suspect: "#9a5b00",
  },
  dark: {
    background: "#16181d",
    text: "#e4e7eb",
    dim: "#a3abb6",
    line: "#343941",
    accent: "#5aa2ff",
    suspect: "#f0b03f",
  },
};

/** Reads the theme at `element` and hands its colours on to the style sheet as `--pp-*`. */
export function readTheme(element: HTMLElement): Theme {
  const style = getComputedStyle(element);
  const pick = (fallback: string, ...names: string[]): string =>
    names.map((name) => style.getPropertyValue(name).trim()).find((value) => value !== "") ?? fallback;

  const page = pick("", "--jp-layout-color0", "--vscode-editor-background") || backgroundBehind(element);
  const dark = page ? luminance(page) < 0.4 : matchMedia("(prefers-color-scheme: dark)").matches;
  const tone = dark ? "dark" : "light";
  const ours = OURS[tone];
  const theme: Theme = {
    dark,
    background: page || ours.background,
    text: pick(ours.text, "--jp-ui-font-color1", "--vscode-editor-foreground"),
    dim: ours.dim,
    line: pick(ours.line, "--jp-border-color2", "--vscode-panel-border"),
    accent: pick(ours.accent, "--jp-brand-color1", "--vscode-focusBorder"),
    suspect: ours.suspect,
    family: Object.fromEntries(FAMILIES.map((name) => [name, FAMILY_COLORS[name][tone]])) as Record<Family, string>,
    font: pick("system-ui, -apple-system, 'Segoe UI', sans-serif", "--jp-ui-font-family", "--vscode-font-family"),
    mono: pick("ui-monospace, Menlo, Consolas, monospace", "--jp-code-font-family", "--vscode-editor-font-family"),
  };
  for (const name of ["background", "text", "dim", "line", "accent", "suspect", "font", "mono"] as const) {
    element.style.setProperty(`--pp-${name}`, theme[name]);
  }
  for (const family of FAMILIES) element.style.setProperty(`--pp-${family}`, theme.family[family]);
  element.style.setProperty("color-scheme", tone);
  return theme;
}

/** Calls `changed` whenever the page may have another theme. */
export function onThemeChange(changed: () => void): Unsubscribe {
  let later: ReturnType<typeof setTimeout>;
  const soon = () => {
    changed();
    // Hosts name the new theme before its style sheet has loaded.
    clearTimeout(later);
    later = setTimeout(changed, 300);
  };
  const observer = new MutationObserver(soon);
  for (const element of [document.documentElement, document.body]) observer.observe(element, { attributes: true });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", soon);
  return () => {
    observer.disconnect();
    clearTimeout(later);
    scheme.removeEventListener("change", soon);
  };
}

/** The colour of the nearest ancestor that has one: it tells light from dark on pages that name no theme. */
function backgroundBehind(element: HTMLElement): string {
  for (let above = element.parentElement; above; above = above.parentElement) {
    const color = getComputedStyle(above).backgroundColor;
    if (color && color !== "transparent" && !/, 0\)$/.test(color)) return color;
  }
  return "";
}

function luminance(color: string): number {
  const context = document.createElement("canvas").getContext("2d") as CanvasRenderingContext2D;
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}
