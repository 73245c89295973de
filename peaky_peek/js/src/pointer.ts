/** What the mouse does in the tree. */
import { describe } from "./aria";
import { type Geometry, HEADER } from "./geometry";
import type { Scene } from "./scene";

export interface Gestures {
  pick(row: number, event: MouseEvent): void;
  toggle(row: number): void;
  moved(): void;
}

const CHEVRON_END = 17;
const LINE = 18;

export function followPointer(
  canvas: HTMLCanvasElement,
  scene: Scene,
  geometry: () => Geometry,
  signal: AbortSignal,
  to: Gestures,
): void {
  const { viewport } = scene;
  const rowAt = (event: MouseEvent) => {
    const place = event.offsetY < HEADER ? -1 : viewport.placeAt(event.offsetY - HEADER);
    return place < 0 ? -1 : scene.outline.shown[place];
  };
  const onChevron = (event: MouseEvent, row: number) => {
    const { left, scale } = geometry();
    const x = event.offsetX - left(row);
    return viewport.hasText && scene.outline.hasChildren(row) && x >= -4 && x < CHEVRON_END * scale;
  };
  const hover = (row: number) => {
    if (row === scene.hover) return;
    scene.hover = row;
    canvas.title = row < 0 ? "" : describe(scene, row);
    to.moved();
  };
  const drag = (event: PointerEvent) => {
    viewport.centreOn((event.offsetY - HEADER) / viewport.height);
    to.moved();
  };
  let dragging = false;

  const on = <K extends keyof HTMLElementEventMap>(
    name: K,
    handler: (event: HTMLElementEventMap[K]) => void,
    options: AddEventListenerOptions = {},
  ) => canvas.addEventListener(name, handler, { ...options, signal });

  on("pointerdown", (event) => {
    if (event.button !== 0 || event.offsetX < geometry().ruler) return;
    dragging = true;
    canvas.setPointerCapture(event.pointerId);
    drag(event);
  });
  on("pointermove", (event) => {
    if (dragging) return drag(event);
    const inRows = event.offsetX < geometry().ruler;
    const row = inRows ? rowAt(event) : -1;
    canvas.style.cursor = row >= 0 || !inRows ? "pointer" : "default";
    hover(row);
  });
  on("lostpointercapture", () => {
    dragging = false;
  });
  on("pointerleave", () => hover(-1));
  on("click", (event) => {
    if (event.offsetX >= geometry().ruler) return;
    const row = rowAt(event);
    if (row < 0) return;
    if (onChevron(event, row)) to.toggle(row);
    else to.pick(row, event);
  });
  on("dblclick", (event) => {
    const row = rowAt(event);
    if (row >= 0 && !onChevron(event, row) && scene.outline.hasChildren(row)) to.toggle(row);
  });
  on(
    "wheel",
    (event) => {
      const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1);
      if (event.ctrlKey || event.metaKey) viewport.zoom(Math.exp(-pixels * 0.004), event.offsetY - HEADER);
      else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || !viewport.scrollBy(pixels)) return;
      event.preventDefault();
      hover(rowAt(event));
      to.moved();
    },
    { passive: false },
  );
}
