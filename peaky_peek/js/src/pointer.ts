/** What the mouse does in the tree. */
import type { Picture } from "./picture";

export interface Gestures {
  picture(): Picture;
  pick(row: number, event: MouseEvent): void;
  toggle(row: number): void;
  /** The pointer is at a row, or at none: -1. */
  hover(row: number, x: number, y: number): void;
  moved(): void;
}

const LINE = 18;
/** How far the pointer goes before a click is a drag. */
const SLACK = 3;

export function followPointer(canvas: HTMLCanvasElement, signal: AbortSignal, to: Gestures): void {
  let drag: ReturnType<Picture["drag"]> = null;
  let pressed: [number, number] = [0, 0];
  let dragging = false;

  const on = <K extends keyof HTMLElementEventMap>(
    name: K,
    handler: (event: HTMLElementEventMap[K], picture: Picture) => void,
    options: AddEventListenerOptions = {},
  ) => canvas.addEventListener(name, (event) => handler(event, to.picture()), { ...options, signal });
  const begin = (event: PointerEvent) => {
    dragging = true;
    canvas.setPointerCapture(event.pointerId);
  };
  const move = ({ offsetX, offsetY }: PointerEvent) => {
    drag?.(offsetX, offsetY);
    to.moved();
  };

  on("pointerdown", (event, picture) => {
    if (event.button !== 0) return;
    dragging = false;
    pressed = [event.offsetX, event.offsetY];
    drag = picture.drag(...pressed);
    if (!drag || event.offsetX < picture.map) return;
    begin(event);
    move(event);
  });
  on("pointermove", (event, picture) => {
    const { offsetX: x, offsetY: y } = event;
    if (dragging && drag) return move(event);
    if (drag && Math.hypot(x - pressed[0], y - pressed[1]) > SLACK) return begin(event);
    const inTree = x < picture.map;
    const row = inTree ? picture.rowAt(x, y) : -1;
    canvas.style.cursor = row >= 0 || !inTree ? "pointer" : "default";
    to.hover(row, x, y);
  });
  on("pointerup", () => {
    drag = null;
  });
  on("lostpointercapture", () => {
    drag = null;
  });
  on("pointerleave", () => to.hover(-1, -1, -1));
  on("click", (event, picture) => {
    if (dragging || event.offsetX >= picture.map) return;
    const row = picture.rowAt(event.offsetX, event.offsetY);
    if (row < 0) return;
    if (picture.folds(event.offsetX, row)) to.toggle(row);
    else to.pick(row, event);
  });
  on("dblclick", (event, picture) => {
    const row = picture.rowAt(event.offsetX, event.offsetY);
    if (row >= 0 && !picture.folds(event.offsetX, row)) to.toggle(row);
  });
  on(
    "wheel",
    (event, picture) => {
      const { offsetX: x, offsetY: y } = event;
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1;
      const [right, down] = [event.deltaX * unit, event.deltaY * unit];
      if (event.ctrlKey || event.metaKey) picture.zoom(Math.exp(-down * 0.004), x, y);
      else if (!picture.scroll(right, down)) return;
      event.preventDefault();
      to.hover(picture.rowAt(x, y), x, y);
      to.moved();
    },
    { passive: false },
  );
}
