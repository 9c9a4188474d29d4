// What browsers say when they give no device, in our words.

import { LiveValetError } from "./errors";

type Kind = "microphone" | "camera" | "screen";

/** What an iframe must be allowed. */
const features: Record<Kind, string> = { microphone: "microphone", camera: "camera", screen: "display-capture" };

/** The browser's devices; throws where there are none. */
export function mediaDevices(kind: Kind): MediaDevices {
  if (navigator.mediaDevices) return navigator.mediaDevices;
  if (isSecureContext) throw refusal(kind, new DOMException("", "NotFoundError"));
  throw noDevice("insecure_context", false, `browsers give ${kind}s only to secure pages: serve this one over HTTPS, or from localhost`);
}

/** What the browser's refusal of a device means. */
export function refusal(kind: Kind, error: unknown): LiveValetError {
  if (error instanceof LiveValetError) return error;
  switch ((error as Error | undefined)?.name) { // In WebKit an OverconstrainedError is no DOMException.
    case "NotAllowedError":
    case "SecurityError":
      return noDevice(`${kind}_denied`, false, `the ${kind} is not allowed: allow it for this page in the browser's and the system's settings, ` +
        `and in an iframe by allow="${features[kind]}"; then start it again`);
    case "NotFoundError":
    case "OverconstrainedError":
      return noDevice(`${kind}_missing`, true, `there is no such ${kind}: plug one in, or choose another, and start it again`);
    default:
      return noDevice(`${kind}_busy`, true, `the ${kind} does not start: close other programs that use it, or choose another, and start it again`);
  }
}

/** Of a device that was stopped, or told to be another, before it was there. */
export function givenUp(kind: Kind): LiveValetError {
  return noDevice("aborted", true, `the ${kind} was stopped, or told to use another device`);
}

export function noDevice(code: string, retryable: boolean, message: string): LiveValetError {
  return new LiveValetError({ code, phase: "setup", message, retryable });
}

export function endStream(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
