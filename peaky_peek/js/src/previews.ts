/** The dim line after a step's name: asked for what is in view only, in blocks, and kept. */
import type { Model, Unsubscribe } from "./model";

const BLOCK = 128;
const QUIET_MS = 50;

export class Previews {
  readonly #texts = new Map<number, string[]>();
  readonly #asked = new Set<number>();
  readonly #waiting = new Set<Unsubscribe>();
  #wanted = new Set<number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly model: Model,
    private readonly rows: number,
    private readonly arrived: () => void,
  ) {}

  readonly of = (row: number): string => {
    const block = Math.floor(row / BLOCK);
    if (!this.#texts.has(block)) this.#wanted.add(block);
    return this.#texts.get(block)?.[row % BLOCK] ?? "";
  };

  /** After a frame: asks for what the frame missed, once scrolling pauses. */
  request(): void {
    const missing = [...this.#wanted].filter((block) => !this.#asked.has(block));
    this.#wanted = new Set();
    clearTimeout(this.#timer);
    if (missing.length === 0) return;
    this.#timer = setTimeout(() => {
      for (const block of missing) this.#ask(block);
    }, QUIET_MS);
  }

  close: Unsubscribe = () => {
    clearTimeout(this.#timer);
    for (const stop of this.#waiting) stop();
  };

  #ask(block: number): void {
    const start = block * BLOCK;
    this.#asked.add(block);
    const stop = this.model.ask(
      { type: "previews", start, stop: Math.min(start + BLOCK, this.rows) },
      (reply) => reply.start === start,
      (reply) => {
        this.#waiting.delete(stop);
        this.#texts.set(block, reply.texts);
        this.arrived();
      },
      () => this.#asked.delete(block), // the next frame that shows it asks again
    );
    this.#waiting.add(stop);
  }
}
