/** Texts of a long list, asked for in blocks when they come into sight, and kept. */
import type { Model } from "./model";

const BLOCK = 64;
const QUIET_MS = 30;

export interface Sight {
  /** What is in the page now. */
  inSight(): number[];
  arrived(start: number, stop: number): void;
  failed(sentence: string): void;
}

export class Blocks<T> {
  private readonly known = new Map<number, T>();
  private readonly asked = new Set<number>();
  private readonly waiting = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly model: Model,
    /** The type of the request; the answer has its texts under `lines`. */
    private readonly type: string,
    private readonly sight: Sight,
  ) {}

  of(item: number): T | null {
    return this.known.get(item) ?? null;
  }

  /** After a frame: asks for what it missed, once scrolling pauses. Returns whether nothing was missing. */
  request(): boolean {
    const missing = this.missing();
    clearTimeout(this.timer);
    if (missing.length === 0) return true;
    if (this.asked.size === 0) this.load();
    else this.timer = setTimeout(() => this.load(), QUIET_MS);
    return false;
  }

  keep(start: number, texts: T[]): void {
    texts.forEach((text, at) => {
      this.known.set(start + at, text);
    });
    this.sight.arrived(start, start + texts.length);
  }

  forget(): void {
    this.close();
    this.waiting.clear();
    this.known.clear();
    this.asked.clear();
  }

  close(): void {
    clearTimeout(this.timer);
    for (const stop of this.waiting) stop();
  }

  private missing(): number[] {
    return this.sight.inSight().filter((item) => !this.known.has(item));
  }

  private load(): void {
    const blocks = new Set(this.missing().map((item) => Math.floor(item / BLOCK)));
    for (const block of blocks) if (!this.asked.has(block)) this.ask(block);
  }

  private ask(block: number): void {
    this.asked.add(block);
    const start = block * BLOCK;
    const stop = this.model.fetch(
      { type: this.type, start, stop: start + BLOCK },
      (reply) => {
        this.waiting.delete(stop);
        this.keep(start, reply.facts.lines);
      },
      (sentence) => {
        this.asked.delete(block); // what comes into sight again asks again
        this.sight.failed(sentence);
      },
    );
    this.waiting.add(stop);
  }
}
