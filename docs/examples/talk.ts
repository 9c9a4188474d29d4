// Mints an ephemeral token and holds a short conversation with it.
//
// Against the emulator, which needs no key:
//
//   livevalet emulate
//   npm ci && npx tsc && node dist/talk.js
//
// Against Google: GEMINI_API_KEY=… GOOGLE_GEMINI_BASE_URL=https://generativelanguage.googleapis.com

import { GoogleGenAI, type LiveConnectConfig, type LiveServerMessage, Modality } from "@google/genai";

const model = "gemini-3.8-live";
const baseUrl = process.env.GOOGLE_GEMINI_BASE_URL ?? "http://127.0.0.1:8089";
const apiKey = process.env.GEMINI_API_KEY ?? "emulator-example";

// mint runs on your server, which has the API key, and gives a token for one
// session of this model.
async function mint(): Promise<string> {
  const ai = new GoogleGenAI({ apiKey, httpOptions: { baseUrl, apiVersion: "v1alpha" } });
  const config: LiveConnectConfig = { responseModalities: [Modality.AUDIO], outputAudioTranscription: {} };
  const token = await ai.authTokens.create({
    config: {
      uses: 1,
      expireTime: new Date(Date.now() + 10 * 60_000).toISOString(),
      newSessionExpireTime: new Date(Date.now() + 60_000).toISOString(),
      liveConnectConstraints: { model, config },
      lockAdditionalFields: [], // empty, not absent: locks what is set above, and nothing else
    },
  });
  if (!token.name) throw new Error("the token service gave no name");
  return token.name;
}

// talk runs where the token is handed to.
async function talk(token: string): Promise<void> {
  const ai = new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl, apiVersion: "v1alpha" } });
  let audio = 0; // bytes of 24 kHz PCM
  let finished: () => void;
  let failed: (error: Error) => void;
  const turn = new Promise<void>((resolve, reject) => ([finished, failed] = [resolve, reject]));
  const session = await ai.live.connect({
    model, // the token brings the configuration
    callbacks: {
      onmessage: ({ serverContent }: LiveServerMessage) => {
        for (const part of serverContent?.modelTurn?.parts ?? []) {
          audio += Buffer.from(part.inlineData?.data ?? "", "base64").length;
        }
        process.stdout.write(serverContent?.outputTranscription?.text ?? "");
        if (serverContent?.turnComplete) finished();
      },
      onclose: ({ code, reason }) => failed(new Error(`closed with ${code} ${reason}`)),
    },
  });
  session.sendRealtimeInput({ text: "My name is Ada." });
  await turn;
  session.close();
  console.log(`\n${audio} bytes of audio`);
}

await talk(await mint());
