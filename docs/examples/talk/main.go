// Command talk mints an ephemeral token and holds a short conversation with it.
//
// Against the emulator, which needs no key:
//
//	livevalet emulate
//	go run ./docs/examples/talk
//
// Against Google: GEMINI_API_KEY=… GOOGLE_GEMINI_BASE_URL=https://generativelanguage.googleapis.com
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/genai"
)

const model = "gemini-3.8-live"

func main() {
	baseURL := cmp.Or(os.Getenv("GOOGLE_GEMINI_BASE_URL"), "http://127.0.0.1:8089")
	apiKey := cmp.Or(os.Getenv("GEMINI_API_KEY"), "emulator-example")

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	token, err := mint(ctx, baseURL, apiKey)
	if err != nil {
		log.Fatal(err)
	}
	if err := talk(ctx, baseURL, token); err != nil {
		log.Fatal(err)
	}
}

// client is one of the SDK. Tokens need the version v1alpha there.
func client(ctx context.Context, baseURL, apiKey string) (*genai.Client, error) {
	return genai.NewClient(ctx, &genai.ClientConfig{
		Backend:     genai.BackendGeminiAPI,
		APIKey:      apiKey,
		HTTPOptions: genai.HTTPOptions{BaseURL: baseURL, APIVersion: "v1alpha"},
	})
}

// mint runs on your server, which has the API key, and gives a token for one
// session of this model.
func mint(ctx context.Context, baseURL, apiKey string) (string, error) {
	c, err := client(ctx, baseURL, apiKey)
	if err != nil {
		return "", err
	}
	token, err := c.AuthTokens.Create(ctx, &genai.CreateAuthTokenConfig{
		Uses:                 genai.Ptr[int32](1),
		ExpireTime:           time.Now().Add(10 * time.Minute),
		NewSessionExpireTime: time.Now().Add(time.Minute),
		LiveConnectConstraints: &genai.LiveConnectConstraints{
			Model: model,
			Config: &genai.LiveConnectConfig{
				ResponseModalities:       []genai.Modality{genai.ModalityAudio},
				OutputAudioTranscription: &genai.AudioTranscriptionConfig{},
			},
		},
		LockAdditionalFields: []string{}, // empty, not nil: locks what is set above, and nothing else
	})
	if err != nil {
		return "", err
	}
	return token.Name, nil
}

// talk runs where the token is handed to.
func talk(ctx context.Context, baseURL, token string) error {
	// For Live the SDK speaks TLS unless the scheme is ws.
	c, err := client(ctx, strings.Replace(baseURL, "http", "ws", 1), token)
	if err != nil {
		return err
	}
	session, err := c.Live.Connect(ctx, model, nil) // the token brings the configuration
	if err != nil {
		return err
	}
	defer session.Close()
	defer context.AfterFunc(ctx, func() { session.Close() })() // Receive knows no context

	if err := session.SendRealtimeInput(genai.LiveRealtimeInput{Text: "My name is Ada."}); err != nil {
		return err
	}
	audio := 0 // bytes of 24 kHz PCM
	for {
		message, err := session.Receive()
		if err != nil {
			return err
		}
		content := message.ServerContent
		if content == nil {
			continue
		}
		if content.ModelTurn != nil {
			for _, part := range content.ModelTurn.Parts {
				if part.InlineData != nil {
					audio += len(part.InlineData.Data)
				}
			}
		}
		if content.OutputTranscription != nil {
			fmt.Print(content.OutputTranscription.Text)
		}
		if content.TurnComplete {
			fmt.Printf("\n%d bytes of audio\n", audio)
			return nil
		}
	}
}
