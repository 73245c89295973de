/** What the mouse does on a timeline: it picks, pans, zooms, moves time on the axis and the view on the strip. */
export interface TimeGestures {
  partAt(y: number): "axis" | "lanes" | "strip";
  /** Moves time to a place. */
  seek(x: number): void;
  /** Brings a place of the strip to the middle of the view. */
  centre(x: number): void;
  drag(right: number, down: number): void;
  pick(x: number, y: number, event: PointerEvent): void;
  /** The pointer is there and nothing is pressed. */
  point(x: number, y: number): void;
  leave(): void;
  closeUp(x: number, y: number): void;
  zoom(factor: number, x: number): void;
  /** Each returns whether anything moved, so that a wheel at the end is left to the page. */
  pan(pixels: number): boolean;
  scroll(pixels: number): boolean;
}

const LINE = 18;
const CLICK = 3;

export function followTime(canvas: HTMLCanvasElement, to: TimeGestures): void {
  let holds: "axis" | "lanes" | "strip" | null = null;
  let at = { x: 0, y: 0 };
  let isDragged = false;

  const slide = (x: number) => (holds === "axis" ? to.seek(x) : to.centre(x));

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    at = { x: event.offsetX, y: event.offsetY };
    holds = to.partAt(at.y);
    isDragged = false;
    canvas.setPointerCapture(event.pointerId);
    if (holds !== "lanes") slide(at.x);
  });
  canvas.addEventListener("pointermove", (event) => {
    const { offsetX: x, offsetY: y } = event;
    if (holds === null) return to.point(x, y);
    if (holds !== "lanes") return slide(x);
    const [right, down] = [at.x - x, at.y - y];
    isDragged ||= Math.abs(right) + Math.abs(down) > CLICK;
    if (!isDragged) return;
    at = { x, y };
    to.drag(right, down);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (holds === "lanes" && !isDragged) to.pick(event.offsetX, event.offsetY, event);
    holds = null;
  });
  canvas.addEventListener("lostpointercapture", () => {
    holds = null;
  });
  canvas.addEventListener("pointerleave", () => to.leave());
  canvas.addEventListener("dblclick", (event) => to.closeUp(event.offsetX, event.offsetY));
  canvas.addEventListener(
    "wheel",
    (event) => {
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1;
      const [x, y] = [event.deltaX * unit, event.deltaY * unit];
      if (event.ctrlKey || event.metaKey) to.zoom(Math.exp(-y * 0.004), event.offsetX);
      else if (event.shiftKey ? !to.pan(x || y) : Math.abs(x) > Math.abs(y) ? !to.pan(x) : !to.scroll(y)) return;
      event.preventDefault();
    },
    { passive: false },
  );
}
