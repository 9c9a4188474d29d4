// The engine's host's side of the speaker: the model's sound goes to the worklet
// without the page, and is taken out of the messages that the page gets.

/** What the speaker's worklet is told. */
export type ToSpeaker =
  /** Little endian PCM16, mono. */
  | { type: "play"; pcm: ArrayBuffer; rate: number }
  /** Silence now: the user interrupted. */
  | { type: "flush" };

type Message = Record<string, unknown>;

interface Part {
  inlineData?: { data?: string; mimeType?: string };
}

export class Playback {
  #port: MessagePort | undefined;

  /** Takes the worklet's end of the line, in place of one before. */
  speak(port: MessagePort): void {
    this.#port?.close();
    this.#port = port;
  }

  /** Follows a server message; gives what the page is to see of it. */
  hear(message: Message): Message {
    const content = message.serverContent as { interrupted?: boolean; modelTurn?: { parts?: Part[] } } | undefined;
    if (!this.#port || !content) return message;
    if (content.interrupted) this.#tell({ type: "flush" });
    const parts = content.modelTurn?.parts;
    const silent = parts?.filter((part) => !this.#play(part));
    if (!silent || silent.length === parts!.length) return message;
    return { ...message, serverContent: { ...content, modelTurn: { ...content.modelTurn, parts: silent } } };
  }

  close(): void {
    this.#port?.close();
    this.#port = undefined;
  }

  #play({ inlineData }: Part): boolean {
    if (!inlineData?.data || !inlineData.mimeType?.startsWith("audio/pcm")) return false;
    const pcm = fromBase64(inlineData.data).buffer;
    this.#tell({ type: "play", pcm, rate: Number(/rate=(\d+)/.exec(inlineData.mimeType)?.[1] ?? 24_000) });
    return true;
  }

  #tell(message: ToSpeaker): void {
    this.#port?.postMessage(message, message.type === "play" ? [message.pcm] : []);
  }
}

function fromBase64(data: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
}
