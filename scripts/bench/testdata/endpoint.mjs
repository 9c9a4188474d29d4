// The token endpoint that one writes first: no caller is known, nothing is
// limited, and a failure upstream is the page's.

import { createServer } from "node:http";
import { GoogleGenAI, Modality } from "@google/genai";

const client = new GoogleGenAI({ httpOptions: { apiVersion: "v1alpha" } }); // the key is in the environment

const server = createServer(async (request, response) => {
  try {
    const token = await client.authTokens.create({
      config: {
        uses: 1,
        expireTime: new Date(Date.now() + 30 * 60_000).toISOString(),
        newSessionExpireTime: new Date(Date.now() + 60_000).toISOString(),
        liveConnectConstraints: {
          model: "gemini-3.8-live",
          config: { responseModalities: [Modality.AUDIO], systemInstruction: "Be brief." },
        },
        lockAdditionalFields: [],
      },
    });
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ token: token.name }));
  } catch (error) {
    console.error(error.status);
    response.writeHead(500).end();
  }
});

server.listen(0, "127.0.0.1", () => console.log(`livevalet: ready http://127.0.0.1:${server.address().port}`));
