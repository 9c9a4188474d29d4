// The engine's host's side of the microphone: what the worklet records becomes
// input of the session. The page is not on that way, so it cannot hold it up.

/** A piece of sound as the microphone's worklet posts it: PCM16 mono of 16 kHz. */
export interface Recorded {
  pcm: ArrayBuffer;
}

const mimeType = "audio/pcm;rate=16000";

/** Pieces of 20 ms that are kept until there is a session: as much as its own ring holds. */
const mostWaiting = 500;

export class Capture {
  #send: ((message: Record<string, unknown>) => void) | undefined;
  #port: MessagePort | undefined;
  #waiting: Record<string, unknown>[] = [];

  /** Takes the worklet's end of the line, in place of one before. */
  listen(port: MessagePort): void {
    this.#port?.close();
    this.#port = port;
    port.onmessage = ({ data }) => this.#hear(data as Recorded);
  }

  /** The session takes input from now on, what was recorded before first. */
  open(send: (message: Record<string, unknown>) => void): void {
    this.#send = send;
    for (const message of this.#waiting.splice(0)) send(message);
  }

  close(): void {
    this.#port?.close();
    this.#port = undefined;
    this.#send = undefined;
    this.#waiting = [];
  }

  #hear({ pcm }: Recorded): void {
    const message = { realtimeInput: { audio: { data: toBase64(new Uint8Array(pcm)), mimeType } } };
    if (this.#send) return this.#send(message);
    this.#waiting.push(message);
    if (this.#waiting.length > mostWaiting) this.#waiting.shift();
  }
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
