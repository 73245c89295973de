/** What the keys do in a replay. */
import type { Kind } from "./course";
import type { Commands } from "./transport";

export interface KeyCommands extends Commands {
  jump(by: number): void;
  first(): void;
  last(): void;
  faster(by: number): void;
  nextMode(): void;
  toggleStretches(): void;
  zoom(factor: number): void;
  inspect(): void;
  focusFilter(): void;
  escape(): void;
}

const LETTERS: Record<string, Kind> = { n: "failure", s: "suspect", d: "decision", c: "checkpoint", ".": "breakpoint" };
const BACK: Record<string, Kind> = { p: "failure", S: "suspect", D: "decision", C: "checkpoint", ",": "breakpoint" };

/** Returns whether the key meant something here. */
export function press(event: KeyboardEvent, to: KeyCommands): boolean {
  const { key, shiftKey, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target instanceof HTMLSelectElement) return false;
  // A button is pressed by these.
  if (target instanceof HTMLButtonElement && (key === " " || key === "Enter")) return false;
  const keys: Record<string, () => void> = {
    " ": () => to.play(),
    ArrowRight: () => (shiftKey ? to.over() : to.step()),
    ArrowLeft: () => (shiftKey ? to.backOver() : to.back()),
    ArrowDown: () => to.into(),
    ArrowUp: () => to.out(),
    PageDown: () => to.jump(10),
    PageUp: () => to.jump(-10),
    Home: () => to.first(),
    End: () => to.last(),
    N: () => to.previous("failure"),
    b: () => to.toggleHere(),
    "[": () => to.faster(-1),
    "]": () => to.faster(1),
    t: () => to.trueTime(),
    m: () => to.nextMode(),
    e: () => to.toggleStretches(),
    "+": () => to.zoom(1.5),
    "=": () => to.zoom(1.5),
    "-": () => to.zoom(1 / 1.5),
    "0": () => to.zoom(0),
    Enter: () => to.inspect(),
    Escape: () => to.escape(),
    "/": () => to.focusFilter(),
  };
  const act = Object.hasOwn(keys, key) ? keys[key] : undefined;
  if (act) act();
  else if (Object.hasOwn(LETTERS, key)) to.next(LETTERS[key]);
  else if (Object.hasOwn(BACK, key)) to.previous(BACK[key]);
  else return false;
  return true;
}
