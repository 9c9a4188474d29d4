import type { LiveServerContent, LiveServerMessage, Part } from "/livevalet.js";

/** Gives a server message the SDK's getters, in place. Own fields win over them. */
export function serverMessage(message: Record<string, unknown>): LiveServerMessage {
  return Object.setPrototypeOf(message, ServerMessage.prototype);
}

class ServerMessage {
  declare serverContent?: LiveServerContent;

  get text(): string | undefined {
    const texts = parts(this).flatMap((part) =>
      typeof part.text === "string" && part.thought !== true ? [part.text] : [],
    );
    return texts.length > 0 ? texts.join("") : undefined;
  }

  get data(): string | undefined {
    const chunks = parts(this).flatMap((part) => part.inlineData?.data || []);
    // Base64 strings with padding cannot be joined as strings.
    return chunks.length > 1 ? btoa(chunks.map(atob).join("")) : chunks[0];
  }
}

function parts(message: ServerMessage): Part[] {
  return message.serverContent?.modelTurn?.parts ?? [];
}
