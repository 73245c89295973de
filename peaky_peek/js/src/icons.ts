/** Small shapes drawn by path, one per family, so that colour is never the only sign; and the marks. */
import type { Context } from "./canvas";
import type { Family } from "./vocabulary";

type Shape = (path: Path2D) => void;

function polygon(path: Path2D, points: [number, number][]): void {
  path.moveTo(...points[0]);
  for (const point of points) path.lineTo(...point);
  path.closePath();
}

function ring(corners: number, radius: number, turn = 0): [number, number][] {
  return Array.from({ length: corners }, (_, i) => {
    const angle = turn + (i * 2 * Math.PI) / corners;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
}

function disc(path: Path2D, radius: number): void {
  path.moveTo(radius, 0);
  path.arc(0, 0, radius, 0, 2 * Math.PI);
}

/** Each fills the unit circle; holes are left by the even-odd rule. */
const SHAPES: Record<Family, Shape> = {
  session(path) {
    disc(path, 0.92);
    disc(path, 0.5);
  },
  llm(path) {
    path.moveTo(0, -1.1);
    for (const [x, y] of [
      [1.1, 0],
      [0, 1.1],
      [-1.1, 0],
      [0, -1.1],
    ]) {
      path.quadraticCurveTo(0, 0, x, y);
    }
  },
  tool(path) {
    polygon(path, ring(6, 1.02, Math.PI / 6));
    disc(path, 0.4);
  },
  decision(path) {
    polygon(path, ring(4, 1.06));
  },
  checkpoint(path) {
    polygon(path, [
      [-0.66, -0.98],
      [0.66, -0.98],
      [0.66, 0.98],
      [0, 0.42],
      [-0.66, 0.98],
    ]);
  },
  risk(path) {
    polygon(path, ring(8, 1.04, Math.PI / 8));
    path.rect(-0.52, -0.17, 1.04, 0.34);
  },
};

const PATHS = Object.fromEntries(
  Object.entries(SHAPES).map(([family, shape]) => {
    const path = new Path2D();
    shape(path);
    return [family, path];
  }),
) as Record<Family, Path2D>;

/** Draws the family's shape around (x, y); a derived step is hollow. */
export function drawIcon(
  context: Context,
  family: Family,
  x: number,
  y: number,
  radius: number,
  hollow: boolean,
): void {
  context.save();
  context.translate(x, y);
  context.scale(radius, radius);
  if (hollow) {
    context.lineWidth = 1.3 / radius;
    context.scale(0.86, 0.86);
    context.stroke(PATHS[family]);
  } else {
    context.fill(PATHS[family], "evenodd");
  }
  context.restore();
}

/** A cross: failed. */
export function drawFailed(context: Context, x: number, y: number, radius: number): void {
  const arm = radius * 0.72;
  context.lineWidth = Math.max(1.2, radius * 0.45);
  context.beginPath();
  context.moveTo(x - arm, y - arm);
  context.lineTo(x + arm, y + arm);
  context.moveTo(x + arm, y - arm);
  context.lineTo(x - arm, y + arm);
  context.stroke();
}

/** A triangle that stands on its base: suspect. */
export function drawSuspect(context: Context, x: number, y: number, radius: number): void {
  context.lineWidth = 1.3;
  context.beginPath();
  context.moveTo(x, y - radius * 0.85);
  context.lineTo(x + radius, y + radius * 0.8);
  context.lineTo(x - radius, y + radius * 0.8);
  context.closePath();
  context.stroke();
}

/** A wedge that points at the step where time stands. */
export function drawNow(context: Context, color: string, x: number, y: number): void {
  context.fillStyle = color;
  context.beginPath();
  context.moveTo(x, y - 6);
  context.lineTo(x + 7, y);
  context.lineTo(x, y + 6);
  context.fill();
}

/** A chevron that points right when closed and down when open. */
export function drawChevron(context: Context, x: number, y: number, open: boolean, scale: number): void {
  const [long, short] = [3.4 * scale, 1.8 * scale];
  context.beginPath();
  if (open) {
    context.moveTo(x - long, y - short);
    context.lineTo(x, y + short);
    context.lineTo(x + long, y - short);
  } else {
    context.moveTo(x - short, y - long);
    context.lineTo(x + short, y);
    context.lineTo(x - short, y + long);
  }
  context.stroke();
}
