/** Moves the head on by itself: at an even pace, or waiting as long as the agent did. */
import type { Unsubscribe } from "./model";

const EVEN_MS = 250;

export interface Played {
  /** Where it goes from here; -1 to stop. */
  next(): number;
  /** How long the agent took until there, in milliseconds; NaN when that is not known. */
  took(at: number): number;
  go(at: number): void;
  ended(): void;
}

export class Player {
  speed = 1;
  trueTime = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #played: Played;

  constructor(played: Played) {
    this.#played = played;
  }

  get playing(): boolean {
    return this.#timer !== undefined;
  }

  play(): void {
    this.stop();
    const next = this.#played.next();
    if (next < 0) {
      this.#played.ended();
      return;
    }
    const took = this.trueTime ? this.#played.took(next) : Number.NaN;
    const wait = Number.isNaN(took) ? EVEN_MS : took;
    this.#timer = setTimeout(() => {
      this.#played.go(next);
      if (this.playing) this.play();
    }, wait / this.speed);
  }

  stop: Unsubscribe = () => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  };
}
