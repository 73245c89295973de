/** The failure card of a session as an anywidget. */
import { widget } from "./shell";
import "./why.css";
import { WhyView } from "./whyview";

export default widget("why", (host) => new WhyView(host));
