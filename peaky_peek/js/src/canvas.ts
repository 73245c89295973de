/** A canvas that stays sharp at any pixel ratio, follows the size of its box, and paints at most once a frame. */
import type { Unsubscribe } from "./model";

export type Context = CanvasRenderingContext2D;

export class Surface {
  readonly element = document.createElement("canvas");
  width = 0;
  height = 0;
  /** Milliseconds each of the last frames took to paint. */
  readonly frameTimes: number[] = [];
  readonly #context = this.element.getContext("2d", { alpha: false }) as Context;
  readonly #observer: ResizeObserver;
  #frame = 0;

  constructor(
    private readonly box: HTMLElement,
    private readonly paint: (context: Context, width: number, height: number) => void,
    private readonly resized: () => void,
  ) {
    box.append(this.element);
    this.#observer = new ResizeObserver(() => this.#measure());
    this.#observer.observe(box);
  }

  /** Asks for a new frame. */
  invalidate(): void {
    this.#frame ||= requestAnimationFrame(() => this.draw());
  }

  close: Unsubscribe = () => {
    this.#observer.disconnect();
    cancelAnimationFrame(this.#frame);
  };

  #measure(): void {
    this.width = this.box.clientWidth;
    this.height = this.box.clientHeight;
    this.resized();
    // At once, not in the next frame: a canvas that was resized is blank.
    cancelAnimationFrame(this.#frame);
    this.draw();
  }

  draw(): void {
    this.#frame = 0;
    const { element, width, height } = this;
    const context = this.#context;
    if (width === 0 || height === 0) return;
    const started = performance.now();
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (element.width !== w || element.height !== h) {
      [element.width, element.height] = [w, h];
      // Not 100%: a box may be a fraction of a pixel wider, and stretching blurs text.
      element.style.width = `${w / ratio}px`;
      element.style.height = `${h / ratio}px`;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paint(context, width, height);
    if (this.frameTimes.push(performance.now() - started) > 600) this.frameTimes.shift();
  }
}
