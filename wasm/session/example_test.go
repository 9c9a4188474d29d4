//go:build !js

package session_test

import (
	"context"
	"fmt"
	"log"

	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// A conversation by text: two questions, and what the model says.
func Example() {
	service := newExampleService() // an issuer and the emulator; yours is an address
	defer service.close()

	answers := make(chan string, 10)
	conversation := session.New(session.Config{
		Profile: "default",
		Setup:   map[string]any{"outputAudioTranscription": map[string]any{}},
		Editor:  edge.Editor{},
		Source:  edge.Issuer{URL: service.url + "/v1/token"}.Token,
		Dial:    session.Dialing(edge.Dial),
		Emit: func(e session.Event) { // on the session's goroutine, which must not wait
			if u, ok := e.(session.Utterance); ok && u.Who == session.SpeakerModel && u.Final {
				answers <- u.Text
			}
		},
	})
	done := make(chan error)
	go func() { done <- conversation.Run(context.Background()) }()

	for _, question := range []string{"My name is Ada.", "What is my name?"} {
		in, err := edge.NewInput(map[string]any{"realtimeInput": map[string]any{"text": question}})
		if err != nil {
			log.Fatal(err)
		}
		// It waits its turn if there is no connection yet, or none any more.
		if err := conversation.Send(in, func(error) {}); err != nil {
			log.Fatal(err)
		}
		fmt.Println(<-answers)
	}
	conversation.Close()
	if err := <-done; err != nil {
		log.Fatal(err)
	}

	// Output:
	// Hello Ada, nice to meet you.
	// Your name is Ada.
}

// The service ends every connection after some minutes. Nothing is to be done about
// it; who cares is told.
func Example_goAway() {
	service := newExampleService()
	defer service.close()

	answers, resumed := make(chan string, 10), make(chan session.Resumed, 10)
	conversation := session.New(session.Config{
		Profile: "default",
		Setup:   map[string]any{"outputAudioTranscription": map[string]any{}},
		Editor:  edge.Editor{},
		Source:  edge.Issuer{URL: service.url + "/v1/token"}.Token,
		Dial:    session.Dialing(edge.Dial),
		Emit: func(e session.Event) {
			switch e := e.(type) {
			case session.Utterance:
				if e.Who == session.SpeakerModel && e.Final {
					answers <- e.Text
				}
			case session.Resumed:
				resumed <- e
			}
		},
	})
	done := make(chan error)
	go func() { done <- conversation.Run(context.Background()) }()
	say := func(text string) {
		in, err := edge.NewInput(map[string]any{"realtimeInput": map[string]any{"text": text}})
		if err == nil {
			err = conversation.Send(in, func(error) {})
		}
		if err != nil {
			log.Fatal(err)
		}
	}

	say("My name is Ada.")
	fmt.Println(<-answers)

	service.fault(`{"kind": "goaway", "timeLeft": "50s"}`)
	receipt := <-resumed
	fmt.Printf("another connection after %s: the model remembers %s\n", receipt.Cause, receipt.Restored)

	say("What is my name?")
	fmt.Println(<-answers)
	conversation.Close()
	if err := <-done; err != nil {
		log.Fatal(err)
	}

	// Output:
	// Hello Ada, nice to meet you.
	// another connection after goaway: the model remembers full
	// Your name is Ada.
}

// The model calls a function of the application's. Which there are says the
// issuer's profile.
func Example_toolCall() {
	service := newExampleService()
	defer service.close()

	answers, calls := make(chan string, 10), make(chan []live.Call, 10)
	conversation := session.New(session.Config{
		Profile: "clock",
		Setup:   map[string]any{"outputAudioTranscription": map[string]any{}},
		Editor:  edge.Editor{},
		Source:  edge.Issuer{URL: service.url + "/v1/token"}.Token,
		Dial:    session.Dialing(edge.Dial),
		Emit: func(e session.Event) {
			switch e := e.(type) {
			case session.Utterance:
				if e.Who == session.SpeakerModel && e.Final {
					answers <- e.Text
				}
			case session.Received:
				if len(e.Message.Calls) > 0 {
					calls <- e.Message.Calls
				}
			}
		},
	})
	done := make(chan error)
	go func() { done <- conversation.Run(context.Background()) }()
	send := func(message map[string]any) {
		in, err := edge.NewInput(message)
		if err == nil {
			err = conversation.Send(in, func(error) {})
		}
		if err != nil {
			log.Fatal(err)
		}
	}

	send(map[string]any{"realtimeInput": map[string]any{"text": "Call get_time."}})
	for _, call := range <-calls {
		fmt.Println("the model calls", call.Name, "with", call.Args)
		send(map[string]any{"toolResponse": map[string]any{"functionResponses": []any{
			map[string]any{"id": call.ID, "name": call.Name, "response": map[string]any{"output": "noon"}},
		}}})
	}
	fmt.Println(<-answers)
	conversation.Close()
	if err := <-done; err != nil {
		log.Fatal(err)
	}

	// Output:
	// the model calls get_time with {}
	// get_time says noon.
}
