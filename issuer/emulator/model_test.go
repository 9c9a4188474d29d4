package emulator

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestModelRemembers(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		said     []string
		want     string
	}{
		{"greets by name", []string{"Hi, my name is ada!"}, "Hello Ada, nice to meet you."},
		{"knows the name", []string{"my name is Ada", "What's my name?"}, "Your name is Ada."},
		{"takes the newest name", []string{"my name is Ada", "no, my name is Grace", "who am I?"}, "Your name is Grace."},
		{"knows names in any script", []string{"my name is Жанна", "what is my name"}, "Your name is Жанна."},
		{"admits what it does not know", []string{"what is my name?"}, "You have not told me your name yet."},
		{"remembers things", []string{"remember that the key is under the mat.", "my name is Ada", "what do you remember?"}, "I remember that your name is Ada, and that the key is under the mat."},
		{"confirms them", []string{"Please remember tea at five!"}, "I will remember that tea at five."},
		{"remembers nothing at first", []string{"what do you know?"}, "I do not remember anything yet."},
		{"says the rest back", []string{"remember x", "lovely  weather\ntoday."}, "You said: lovely weather today. I remember 1 thing."},
		{"takes in all paragraphs", []string{"remember x\n\nremember y\n\nwhat do you remember?"}, "I remember that y, and that x."},
		{"has help", []string{"Help!"}, helpAnswer},
		{"understands silence", []string{" \n"}, "I did not hear any words. Say help to learn what I understand."},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			var m memory
			var got string
			for _, said := range tt.said {
				got, m = m.answer(said)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("a copy is a snapshot", func(t *testing.T) {
		var m memory
		for _, said := range []string{"remember a", "remember b", "remember one"} {
			_, m = m.answer(said)
		}
		snapshot := m
		_, left := m.answer("remember two")
		_, right := m.answer("remember three")
		for name, tt := range map[string]struct {
			m    memory
			want string
		}{"snapshot": {snapshot, "a b one"}, "left": {left, "a b one two"}, "right": {right, "a b one three"}} {
			if got := strings.Join(tt.m.facts, " "); got != tt.want {
				t.Errorf("%s: %q, want %q", name, got, tt.want)
			}
		}
	})
	t.Run("what it keeps and says is bounded", func(t *testing.T) {
		var m memory
		for range 2 * maxFacts {
			_, m = m.answer("remember " + strings.Repeat("é", 5000))
		}
		if len(m.facts) != maxFacts || len(m.facts[0]) > maxHeard {
			t.Errorf("%d facts of %d bytes", len(m.facts), len(m.facts[0]))
		}
		for _, said := range []string{"what do you remember", strings.Repeat("é", 5000), "my name is " + strings.Repeat("é", 5000)} {
			if got, _ := m.answer(said); len(got) > maxReply+1 || !utf8.ValidString(got) {
				t.Errorf("answered %d bytes", len(got))
			}
		}
	})
}
