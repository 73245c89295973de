/** Where time stands in the tree: the step of that event, and which steps had not begun. */
import type { Model, Unsubscribe } from "./model";
import type { Numbers, Packed } from "./packed";
import type { Scene } from "./scene";

export class Times {
  /** Row of each event in order, once the kernel was asked. */
  #rowAt = new Int32Array(0);
  #waiting: Unsubscribe | undefined;

  constructor(
    private readonly model: Model,
    private readonly scene: Scene,
    private readonly changed: () => void,
  ) {}

  seek(position: number): void {
    const { scene } = this;
    scene.position = position;
    if (position >= 0 && !scene.opened) this.#waiting ??= this.model.fetch({ type: "times" }, this.know, () => {});
    scene.now = position >= 0 ? (this.#rowAt[position] ?? -1) : -1;
    this.changed();
  }

  readonly know = ({ columns: { opened, closed } }: Packed): void => {
    if (opened.length !== this.scene.columns.rows) return;
    this.scene.opened = opened;
    this.#rowAt = new Int32Array(opened.length + closed.length).fill(-1);
    const note = (places: Numbers) => {
      places.forEach((place, row) => {
        if (place >= 0) this.#rowAt[place] = row;
      });
    };
    note(opened);
    note(closed);
    this.seek(this.scene.position);
  };

  readonly close: Unsubscribe = () => this.#waiting?.();
}
