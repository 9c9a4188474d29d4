"""Mints an ephemeral token and holds a short conversation with it.

NOT RUN: no test of this project runs this file. Written from the sources of
python-genai 2.19.

python-genai speaks TLS on the Live socket whatever the base URL says, so the
emulator has to, too:

    livevalet emulate --tls      # prints the path of ca.pem
    pip install google-genai==2.19.0
    SSL_CERT_FILE=/path/to/ca.pem python talk.py

Against Google: GEMINI_API_KEY=… GOOGLE_GEMINI_BASE_URL=https://generativelanguage.googleapis.com
"""

import asyncio
import datetime
import os

from google import genai
from google.genai import types

MODEL = "gemini-3.8-live"
BASE_URL = os.environ.get("GOOGLE_GEMINI_BASE_URL", "https://localhost:8089")
API_KEY = os.environ.get("GEMINI_API_KEY", "emulator-example")


def client(api_key: str) -> genai.Client:
    return genai.Client(
        api_key=api_key,
        http_options=types.HttpOptions(base_url=BASE_URL, api_version="v1alpha"),
    )


def mint() -> str:
    """Runs on your server, which has the API key."""
    now = datetime.datetime.now(tz=datetime.timezone.utc)
    token = client(API_KEY).auth_tokens.create(
        config=types.CreateAuthTokenConfig(
            uses=1,
            expire_time=now + datetime.timedelta(minutes=10),
            new_session_expire_time=now + datetime.timedelta(minutes=1),
            live_connect_constraints=types.LiveConnectConstraints(
                model=MODEL,
                config=types.LiveConnectConfig(
                    response_modalities=[types.Modality.AUDIO],
                    output_audio_transcription=types.AudioTranscriptionConfig(),
                ),
            ),
            lock_additional_fields=[],  # empty, not None: locks what is set above, and nothing else
        )
    )
    return token.name


async def talk(token: str) -> None:
    """Runs where the token is handed to."""
    audio = 0  # bytes of 24 kHz PCM
    async with client(token).aio.live.connect(model=MODEL) as session:
        await session.send_realtime_input(text="My name is Ada.")
        async for message in session.receive():  # ends with the turn
            content = message.server_content
            if content is None:
                continue
            if content.model_turn:
                for part in content.model_turn.parts or []:
                    if part.inline_data and part.inline_data.data:
                        audio += len(part.inline_data.data)
            if content.output_transcription and content.output_transcription.text:
                print(content.output_transcription.text, end="")
    print(f"\n{audio} bytes of audio")


if __name__ == "__main__":
    asyncio.run(talk(mint()))
