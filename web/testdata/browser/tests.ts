import "./convert";
import "./message";
import "./tokens";
import "./api";
import "./tools";
import "./jitterbuffer";
import "./playback";
import "./speaker";
import "./resample";
import "./gate";

export { names, run } from "./harness";
