/** What many runs have in common, as an anywidget. */
import "./flow.css";
import { FlowView } from "./flowview";
import { widget } from "./shell";

export default widget("flow", (host) => new FlowView(host));
