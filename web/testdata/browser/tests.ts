import "./convert";
import "./message";
import "./tokens";
import "./api";
import "./tools";
import "./jitterbuffer";
import "./playback";
import "./speaker";
import "./resample";

export { names, run } from "./harness";
