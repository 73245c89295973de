/** The safety trail of a session as an anywidget. */
import "./safety.css";
import { widget } from "./shell";
import { TrailView } from "./trail";

export default widget("safety", (host, theme) => new TrailView(theme, host));
