/** The tracks on their canvas, and the head over them, which is pulled with the mouse. */
import { type Context, Surface } from "./canvas";
import { type Course, right } from "./course";
import { element } from "./dom";
import type { Unsubscribe } from "./model";
import { Scale, type Stretch } from "./scale";
import type { Theme } from "./theme";
import { GUTTER, paintHead, RULER, Tracks } from "./tracks";

export interface Gestures {
  go(at: number): void;
  inspect(at: number): void;
  /** What is said of an event under the mouse. */
  describe(at: number): string;
  resized(): void;
  painted(): void;
}

const END = 14;

export class Scrubber {
  readonly element = element("div", "pp-tracks");
  course: Course | null = null;
  scale: Scale | null = null;
  #theme: Theme;
  tracks: Tracks | null = null;
  readonly #surface: Surface;
  /** All but the head, kept from one frame to the next. */
  readonly #layer = document.createElement("canvas");
  #isStale = true;
  #head = -1;
  #stretches: readonly Stretch[] = [];
  #open = new Set<number>();
  #folded: Stretch[] = [];
  #starts: number[] = [];
  #chosen: ReadonlySet<number> = new Set();
  #mask: Uint8Array | null = null;
  readonly #to: Gestures;

  constructor(theme: Theme, to: Gestures) {
    this.#theme = theme;
    this.#to = to;
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "slider");
    this.element.setAttribute("aria-label", "Moment of the session");
    this.#surface = new Surface(
      this.element,
      (context, width, height) => this.#paint(context, width, height),
      () => {
        to.resized();
        this.#rescale();
      },
    );
    this.#followPointer(this.#surface.element);
  }

  get height(): number {
    return this.tracks?.height ?? RULER;
  }

  get frameTimes(): number[] {
    return this.#surface.frameTimes;
  }

  show(course: Course): void {
    this.course = course;
    this.tracks = new Tracks(course);
    this.element.style.height = `${this.tracks.height}px`;
    this.#stretches = [];
    this.#chosen = new Set();
    this.#mask = null;
    this.#refold();
  }

  /** Folds these stretches, one after the other. */
  fold(stretches: readonly Stretch[]): void {
    this.#stretches = stretches;
    this.#open.clear();
    this.#refold();
  }

  /** Opens all stretches, or folds them again. */
  toggleAll(): void {
    this.#open = new Set(this.#open.size > 0 ? [] : this.#stretches.keys());
    this.#refold();
  }

  /** The folded stretch that an event is in. */
  foldedAt(at: number): Stretch | null {
    const found = this.#folded[right(this.#starts, at) - 1];
    return found && at < found.stop ? found : null;
  }

  get folded(): readonly Stretch[] {
    return this.#folded;
  }

  /** Moves the head, and opens what it stands in when somebody went there. */
  setHead(at: number, opens: boolean): void {
    this.#head = at;
    const inside = opens ? this.foldedAt(at) : null;
    if (inside) this.#toggle(inside);
    if (at >= 0 && this.scale?.reveal(at)) this.#isStale = true;
    this.#surface.invalidate();
  }

  select(rows: readonly number[]): void {
    const { course } = this;
    this.#chosen = new Set(rows.filter((row) => row < (course?.columns.rows ?? 0)));
    const [first] = this.#chosen;
    if (first !== undefined && course) this.scale?.reveal(course.opens[first]);
    this.repaint();
  }

  filter(mask: Uint8Array | null): void {
    this.#mask = mask;
    this.repaint();
  }

  recolour(theme: Theme): void {
    this.#theme = theme;
    this.repaint();
  }

  repaint(): void {
    this.#isStale = true;
    this.#surface.invalidate();
  }

  zoom(factor: number): void {
    const { scale } = this;
    if (!scale) return;
    scale.zoom(factor, this.#head >= 0 ? scale.x(this.#head) : scale.left + scale.width / 2);
    this.repaint();
  }

  rect(row: number): DOMRect | null {
    const { course, scale } = this;
    const at = course?.opens[row] ?? -1;
    if (!scale || at < 0) return null;
    const [x, box] = [scale.x(at), this.element.getBoundingClientRect()];
    return x < scale.left || x > scale.left + scale.width ? null : new DOMRect(box.x + x - 4, box.y, 8, box.height);
  }

  close: Unsubscribe = () => this.#surface.close();

  #toggle(stretch: Stretch): void {
    const number = this.#stretches.indexOf(stretch);
    if (!this.#open.delete(number)) this.#open.add(number);
    this.#refold();
  }

  #refold(): void {
    this.#folded = this.#stretches.filter((_, number) => !this.#open.has(number));
    this.#starts = this.#folded.map(({ start }) => start);
    this.#rescale();
  }

  #rescale(): void {
    const { course, scale } = this;
    const { width } = this.#surface;
    if (!course || width === 0) return;
    this.scale = new Scale(course.length, this.#folded, GUTTER, Math.max(20, width - GUTTER - END));
    if (scale && scale.width === this.scale.width) this.scale.like(scale);
    this.repaint();
  }

  #paint(context: Context, width: number, height: number): void {
    const { canvas } = context;
    if (this.#layer.width !== canvas.width || this.#layer.height !== canvas.height) {
      [this.#layer.width, this.#layer.height] = [canvas.width, canvas.height];
      this.#isStale = true;
    }
    const { scale } = this;
    if (this.#isStale) {
      const layer = this.#layer.getContext("2d", { alpha: false }) as Context;
      layer.setTransform(context.getTransform());
      layer.fillStyle = this.#theme.background;
      layer.fillRect(0, 0, width, height);
      if (scale) this.tracks?.paint(layer, scale, this.#theme, this.#chosen, this.#mask);
      this.#isStale = false;
    }
    context.save();
    context.resetTransform();
    context.drawImage(this.#layer, 0, 0);
    context.restore();
    if (!scale) return;
    const x = this.#head < 0 ? -1 : scale.x(this.#head);
    if (x >= scale.left - 1 && x <= scale.left + scale.width + 1) paintHead(context, x, height, this.#theme);
    this.#to.painted();
  }

  #followPointer(canvas: HTMLCanvasElement): void {
    let isPulled = false;
    const pull = (event: PointerEvent) => {
      if (this.scale && this.course?.length) this.#to.go(this.scale.position(event.offsetX));
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.scale || !this.course?.length) return;
      this.element.focus({ preventScroll: true });
      const { folded } = this.scale.pieceAt(event.offsetX);
      if (folded && event.offsetY > RULER) return this.#toggle(folded);
      isPulled = true;
      canvas.setPointerCapture(event.pointerId);
      pull(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (isPulled) return pull(event);
      if (!this.scale || !this.course?.length || event.offsetX < this.scale.left) {
        canvas.title = "";
        return;
      }
      const { folded, start, stop } = this.scale.pieceAt(event.offsetX);
      canvas.style.cursor = "pointer";
      canvas.title = folded
        ? `${stop - start} events: ${folded.said || "not shown in this mode"}. Click to open.`
        : this.#to.describe(this.scale.position(event.offsetX));
    });
    canvas.addEventListener("lostpointercapture", () => {
      isPulled = false;
    });
    canvas.addEventListener("dblclick", (event) => {
      if (this.scale && this.course?.length) this.#to.inspect(this.scale.position(event.offsetX));
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        const { scale } = this;
        if (!scale) return;
        const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
        if (event.ctrlKey || event.metaKey) scale.zoom(Math.exp(-event.deltaY * 0.004), event.offsetX);
        else if (scale.zoomed && Math.abs(sideways) > 0) scale.pan(sideways);
        else return;
        event.preventDefault();
        this.repaint();
      },
      { passive: false },
    );
  }
}
