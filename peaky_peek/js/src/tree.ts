/** The decision tree as an anywidget: what the kernel says becomes a picture, what the user does becomes state. */
import { element } from "./dom";
import { count } from "./format";
import { HEADER } from "./geometry";
import { Inspector } from "./inspector";
import { keepInNotebook } from "./keep";
import { type AnyModel, Model, type Unsubscribe } from "./model";
import { Previews } from "./previews";
import { savedColumns } from "./saved";
import { onThemeChange, readTheme } from "./theme";
import { Toolbar } from "./toolbar";
import "./tree.css";
import { TreeView } from "./view";
import { ROW } from "./viewport";
import { type Columns, type Reply, WIRE_VERSION } from "./wire";

const NO_KERNEL_MS = 1_000;
const SELECT_MS = 60;
const NOTHING = "Nothing recorded yet: run %load_ext peaky_peek and then your agent, or decorate it with @pp.trace.";

/** What browser tests and benchmarks see of a view, as `__peek` of the `.pp-tree` element. */
export interface Peek {
  rowRect(row: number): DOMRect | null;
  readonly visibleRows: number;
  readonly frameTimes: number[];
  firstPaintMs: number | null;
}

function render({ model: any, el }: { model: AnyModel; el: HTMLElement }): Unsubscribe {
  const model = new Model(any);
  let previews: Previews | null = null;
  let arrived = 0;
  let selecting: ReturnType<typeof setTimeout> | undefined;
  let waiting: ReturnType<typeof setTimeout> | undefined;
  let live = false;

  const peek: Peek = {
    rowRect: (row) => view.rowRect(row),
    get visibleRows() {
      return view.scene?.outline.count ?? 0;
    },
    get frameTimes() {
      return view.frameTimes;
    },
    firstPaintMs: null,
  };
  const root = element("div", "pp-tree");
  // JupyterLab's shortcuts listen before the view's own keys do.
  root.dataset.lmSuppressShortcuts = "true";
  Object.assign(root, { __peek: peek });
  el.replaceChildren(root);

  const inspector = new Inspector(model, () => view.element.focus({ preventScroll: true }));
  const view = new TreeView(readTheme(root), {
    selected(rows) {
      clearTimeout(selecting);
      selecting = setTimeout(() => {
        if (live) model.set("_rows", rows);
      }, SELECT_MS);
      if (inspector.open && rows.length > 0) inspect(rows[rows.length - 1]);
    },
    inspect: (row) => inspect(row),
    focusFilter: () => toolbar.focusFilter(),
    escape() {
      if (inspector.open) inspector.hide();
      else if (live && model.get("_query")) query("");
    },
    // A view is often made before it is in the page, and knows no theme until then.
    resized: () => view.recolour(readTheme(root)),
    painted() {
      peek.firstPaintMs ??= performance.now() - arrived;
      previews?.request();
    },
  });
  const toolbar = new Toolbar({
    fold: () => model.set("expanded", !expanded()),
    query,
    leave: () => view.element.focus({ preventScroll: true }),
    refresh: () => model.send({ type: "refresh" }),
    nextFailure: () => view.nextFailure(),
    expandAll: () => view.change((outline) => outline.expandAll()),
    collapseAll: () => view.change((outline) => outline.collapseAll()),
    zoom: (factor) => view.zoom(factor),
    resetZoom: () => view.resetZoom(),
  });
  const start = element("div", "pp-start");
  root.append(toolbar.element, element("div", "pp-body", view.element, inspector.element), start);

  function expanded(): boolean {
    return model.get("expanded") !== false;
  }

  /** Asks for the steps whenever they come into sight: while they are folded, the kernel does not send them. */
  function setExpanded(): void {
    root.classList.toggle("pp-folded", !expanded());
    toolbar.setExpanded(expanded());
    clearTimeout(waiting);
    if (!expanded()) return;
    if (!live) waiting = setTimeout(showSaved, NO_KERNEL_MS);
    model.send({ type: "hello", version: WIRE_VERSION });
  }

  function inspect(row: number): void {
    if (live) inspector.show(row);
  }

  /** As high as its rows, up to the height that was asked for; all of that beside an inspector. */
  function adjust(): void {
    const height = model.get("height");
    const rows = HEADER + Math.max(3, view.scene?.columns.rows ?? 0) * ROW + 2;
    root.style.setProperty("--pp-height", `${height}px`);
    root.style.setProperty("--pp-rows", `${Math.min(height, rows)}px`);
  }

  function query(text: string): void {
    toolbar.setQuery(text);
    toolbar.say("");
    model.set("_query", text);
    if (text === "") lift();
  }

  function lift(): void {
    view.filter(null);
    toolbar.setMatches("");
  }

  function show(columns: Columns, preview: (row: number) => string): void {
    arrived = performance.now();
    view.show(columns, preview);
    toolbar.setFailures(view.scene?.outline.failures ?? 0);
    root.classList.toggle("pp-empty", columns.rows === 0);
    start.textContent = model.get("_title")?.note || NOTHING;
    adjust();
    view.select(model.get("_rows") ?? []);
  }

  function showLive(columns: Columns): void {
    clearTimeout(waiting);
    live = true;
    toolbar.enable(true);
    toolbar.say("");
    setTitle();
    inspector.reset();
    previews?.close();
    previews = new Previews(model, columns.rows, () => view.invalidate());
    show(columns, previews.of);
  }

  function showSaved(): void {
    const saved = savedColumns(model.get("_outline") ?? []);
    toolbar.enable(false);
    show(saved, saved.preview);
    if (saved.rows > 0) toolbar.say("No kernel: showing the saved outline.");
  }

  function setTitle(): void {
    toolbar.setTitle(model.get("_title") ?? {});
  }

  const onReply = (reply: Reply): void => {
    if (reply.type === "columns") showLive(reply.columns);
    if (reply.type === "error" && !isQuestion(reply.request)) toolbar.say(reply.message, true);
    if (reply.type === "mask") {
      view.filter(reply.mask);
      toolbar.setMatches(reply.mask ? `${count(reply.count)} of ${count(reply.mask.length)}` : "");
    }
  };

  setTitle();
  toolbar.setQuery(model.get("_query") ?? "");
  const ends: Unsubscribe[] = [
    model.onReply(onReply),
    model.onChange("_title", setTitle),
    model.onChange("expanded", setExpanded),
    model.onChange("height", adjust),
    model.onChange("_rows", () => {
      view.select(model.get("_rows"));
      const [first] = model.get("_rows");
      if (inspector.open && first !== undefined) inspect(first);
    }),
    model.onChange("_query", () => toolbar.setQuery(model.get("_query"))),
    onThemeChange(() => view.recolour(readTheme(root))),
    view.close,
    inspector.close,
    () => previews?.close(),
    () => toolbar.close(),
    () => clearTimeout(waiting),
    () => clearTimeout(selecting),
  ];
  setExpanded();
  keepInNotebook(any.widget_manager);
  return () => {
    for (const end of ends) end();
    root.remove();
  };
}

/** Whoever asked shows what went wrong with the answer. */
function isQuestion(request: unknown): boolean {
  const type = (request as { type?: string } | undefined)?.type;
  return type === "details" || type === "more" || type === "previews";
}

export default { render };
