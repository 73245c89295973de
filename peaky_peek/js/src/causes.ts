/** What led to the selected steps and what they led to, as curves over the tree. */
import type { Context } from "./canvas";
import type { Model, Unsubscribe } from "./model";
import type { Packed } from "./packed";
import type { Picture, Pin } from "./picture";
import type { Theme } from "./theme";

const OUT = 1;
const CHAIN = 2;
/** Dashes of the kinds; what is not here is drawn through. */
const DASHES: Record<string, number[]> = { explicit: [9, 2], context: [6, 3], value: [2, 3], parent: [1, 4] };

/** How near to a curve the pointer is on it, and how round corners are, in pixels. */
const NEAR = 9;
const CORNER = 6;

export class Causes {
  #edges: Packed | null = null;
  /** Each curve with its edge, in the order of painting. */
  #drawn: [Path2D, number][] = [];
  #context: Context | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #rows: readonly number[] = [];
  #waiting: Unsubscribe | undefined;

  constructor(
    private readonly model: Model,
    private readonly changed: () => void,
  ) {}

  /** Asks for the edges of other rows: after what else the page asks, and not again before it was answered. */
  ask(rows: readonly number[]): void {
    this.#rows = rows;
    this.#take(null);
    clearTimeout(this.#timer);
    if (rows.length > 0 && !this.#waiting) this.#timer = setTimeout(this.#send);
  }

  readonly #send = (): void => {
    const rows = this.#rows;
    const done = (edges: Packed | null) => {
      this.#waiting = undefined;
      if (rows === this.#rows) this.#take(edges);
      else this.ask(this.#rows);
    };
    // Without a kernel there is only what was saved.
    this.#waiting = this.model.fetch({ type: "edges", rows }, done, () => done(this.#edges));
  };

  #take(edges: Packed | null): void {
    this.#edges = edges;
    this.#drawn = [];
    this.changed();
  }

  paint(context: Context, picture: Picture, theme: Theme, height: number): void {
    this.#drawn = [];
    this.#context = context;
    if (!this.#edges) return;
    const { source, target, role, kind, weight } = this.#edges.columns;
    const { kinds } = this.#edges.facts;
    context.save();
    // What matters most is painted last.
    for (let edge = source.length - 1; edge >= 0; edge--) {
      const [from, to] = [picture.pin(source[edge]), picture.pin(target[edge])];
      if (!from || !to || from.y === to.y || Math.max(from.y, to.y) < 0 || Math.min(from.y, to.y) > height) continue;
      const path = between(from, to);
      const chain = role[edge] === CHAIN;
      context.strokeStyle = context.fillStyle = role[edge] === OUT ? theme.dim : theme.accent;
      context.globalAlpha = chain ? 0.9 : 0.25 + 0.6 * weight[edge];
      context.lineWidth = chain ? 2.2 : 1.3;
      context.setLineDash(DASHES[kinds[kind[edge]]] ?? []);
      context.stroke(path);
      head(context, to.x - to.radius - 1, to.y);
      this.#drawn.push([path, edge]);
    }
    context.restore();
  }

  /** What says so, of the curve at a point; nothing where there is none. */
  at(x: number, y: number): string {
    const context = this.#context;
    if (!context || !this.#edges) return "";
    const ratio = context.getTransform().a;
    context.lineWidth = NEAR;
    const { columns, facts, texts } = this.#edges;
    const found = this.#drawn.findLast(([path]) => context.isPointInStroke(path, x * ratio, y * ratio));
    return found ? `${facts.kinds[columns.kind[found[1]]]}: ${texts.evidence.at(found[1])}` : "";
  }

  readonly close: Unsubscribe = () => {
    clearTimeout(this.#timer);
    this.#waiting?.();
  };
}

/** From one shape to another: around the left, where no text is, or along the gap between two lines. */
function between(from: Pin, to: Pin): Path2D {
  const path = new Path2D();
  const end = to.x - to.radius - 1;
  if (from.gap === 0) {
    const start = from.x - from.radius;
    const bulge = Math.min(10 + Math.abs(from.y - to.y) * 0.12, 60);
    const left = (x: number) => Math.max(2, x - bulge);
    path.moveTo(start, from.y);
    path.bezierCurveTo(left(start), from.y, left(end), to.y, end, to.y);
    return path;
  }
  const down = Math.sign(to.y - from.y);
  const gap = from.y + down * from.gap;
  const x = Math.max(3, end - CORNER);
  path.moveTo(from.x, from.y + down * from.radius);
  path.arcTo(from.x, gap, x, gap, CORNER);
  path.arcTo(x, gap, x, to.y, CORNER);
  path.arcTo(x, to.y, end, to.y, CORNER);
  path.lineTo(end, to.y);
  return path;
}

function head(context: Context, x: number, y: number): void {
  context.beginPath();
  context.moveTo(x + 1, y);
  context.lineTo(x - 5, y - 3.5);
  context.lineTo(x - 5, y + 3.5);
  context.fill();
}
