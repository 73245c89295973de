/** Two sessions side by side, as an anywidget. */
import "./compared.css";
import "./diff.css";
import { DiffView } from "./diffview";
import { widget } from "./shell";

export default widget("diff", (host) => new DiffView(host));
