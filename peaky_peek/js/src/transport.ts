/** The bar above the tracks: playing, stepping, and what to go to the next of. */
import { group, setGlyph, tool } from "./buttons";
import { KINDS, type Kind } from "./course";
import { element } from "./dom";
import { count } from "./format";

export const SPEEDS = [0.5, 1, 2, 4, 8, 16];
export const MODES = ["full", "focus", "failure", "highlights"];

/** What can be asked for by a button or a key. */
export interface Commands {
  play(): void;
  step(): void;
  back(): void;
  over(): void;
  backOver(): void;
  into(): void;
  out(): void;
  next(kind: Kind): void;
  previous(kind: Kind): void;
  toggleHere(): void;
  speed(value: number): void;
  /** Waits as long as the agent did, or no longer. */
  trueTime(): void;
  mode(name: string): void;
}

export class Transport {
  readonly element: HTMLElement;
  readonly #play: HTMLButtonElement;
  readonly #true: HTMLButtonElement;
  readonly #speed: HTMLSelectElement;
  readonly #kind: HTMLSelectElement;
  readonly #mode: HTMLSelectElement;

  constructor(to: Commands) {
    this.#play = tool("play", "Play (space)", () => to.play());
    this.#speed = select("How fast it plays ([ slower, ] faster)", SPEEDS.map(String), (value) => {
      to.speed(Number(value));
    });
    for (const option of this.#speed.options) option.textContent = `${option.value}×`;
    this.#true = tool("true", "Wait as long as the agent did (t)", () => to.trueTime());
    this.#kind = select("What to go to the next of", [...KINDS], () => {});
    this.#mode = select("What is shown and stopped at (m)", MODES, (value) => to.mode(value));
    const kind = () => this.#kind.value as Kind;
    this.element = element(
      "div",
      "pp-transport",
      group(
        tool("backover", "Back over the step (shift ←)", () => to.backOver()),
        tool("back", "Back (←)", () => to.back()),
        this.#play,
        tool("step", "Step (→)", () => to.step()),
        tool("over", "Step over (shift →)", () => to.over()),
        tool("into", "Step into (↓)", () => to.into()),
        tool("leave", "Step out (↑)", () => to.out()),
      ),
      group(this.#speed, this.#true),
      group(
        tool("prior", "The one before (shift n s d c, or ,)", () => to.previous(kind())),
        this.#kind,
        tool("next", "The next one (n s d c, or .)", () => to.next(kind())),
        tool("stop", "Stop here, or no longer (b)", () => to.toggleHere()),
      ),
      group(this.#mode),
    );
    this.element.setAttribute("role", "toolbar");
    this.element.setAttribute("aria-label", "Replay");
  }

  setPlaying(playing: boolean): void {
    setGlyph(this.#play, playing ? "pause" : "play", playing ? "Pause (space)" : "Play (space)");
  }

  setPace(speed: number, trueTime: boolean): void {
    this.#speed.value = String(SPEEDS.findLast((one) => one <= speed) ?? SPEEDS[0]);
    this.#true.ariaPressed = String(trueTime);
  }

  setMode(mode: string): void {
    this.#mode.value = mode;
  }

  setKinds(found: Record<Kind, ArrayLike<number>>): void {
    for (const option of this.#kind.options) {
      const kind = option.value as Kind;
      const n = found[kind].length;
      option.textContent = `${count(n)} ${n === 1 ? kind : `${kind}s`}`;
    }
    // What there is none of is of no use to begin with.
    if (found[this.#kind.value as Kind].length === 0) {
      this.#kind.value = KINDS.find((kind) => found[kind].length > 0) ?? KINDS[0];
    }
  }

  /** Remembers what was gone to last, so that the buttons go on with it. */
  setKind(kind: Kind): void {
    this.#kind.value = kind;
  }
}

function select(title: string, values: string[], chosen: (value: string) => void): HTMLSelectElement {
  const made = element("select", "pp-select");
  made.title = title;
  made.setAttribute("aria-label", title);
  for (const value of values) {
    const option = element("option", "", value);
    option.value = value;
    made.append(option);
  }
  made.addEventListener("change", () => chosen(made.value));
  return made;
}
