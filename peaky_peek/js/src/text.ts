/** Recorded text is hostile until proven otherwise: what acts unseen is shown, and nothing outgrows its place. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const ANSI = /\x1b\[[0-?]*[ -/]*[@-~]/g;
// Controls but tab and newline, bidi overrides and isolates and marks, Unicode tag characters, lone surrogates.
const UNSEEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

/** Returns `text` without ANSI colours and with every character that acts unseen shown instead. */
export function visible(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(ANSI, "").replace(UNSEEN, shown);
}

/** Returns the beginning of `text` as one visible line. */
export function oneLine(text: string, limit = 300): string {
  return visible(text.slice(0, limit)).replace(/\s+/g, " ").trim();
}

function shown(unseen: string): string {
  const code = unseen.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\u{${code.toString(16)}}`;
}

/** Returns as much of `text` as `width` holds, with an ellipsis when that is not all. */
export function ellipsis(text: string, width: number, measure: (text: string) => number): string {
  const whole = measure(text);
  if (whole <= width) return text;
  let end = Math.floor((text.length * width) / whole);
  while (end > 0 && measure(`${text.slice(0, end)}…`) > width) end -= 1;
  if (/[\ud800-\udbff]/.test(text.charAt(end - 1))) end -= 1;
  return end > 0 ? `${text.slice(0, end).trimEnd()}…` : "";
}
