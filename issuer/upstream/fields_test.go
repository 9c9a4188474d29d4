package upstream

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestARefusalNamesTheFieldsAndNothingElse(t *testing.T) {
	for said, want := range map[string]string{
		"auth_token.bidi_generate_content_setup.tools[12].function_declarations[0].name": "setup.tools.12.functionDeclarations.0.name",
		"auth_token.bidi_generate_content_setup.generation_config":                       "setup.generationConfig",
		"bidiGenerateContentSetup.generationConfig.topK":                                 "setup.generationConfig.topK",
		"auth_token.bidi_generate_content_setup":                                         "bidiGenerateContentSetup",
		"auth_token.field_mask":                                                          "fieldMask",
		`auth_token.bidi_generate_content_setup.labels["CANARY"].value`:                  "setup.labels",
		"auth_token.bidi_generate_content_setup.labels.CANARY":                           "setup.labels",
		"auth_token.bidi_generate_content_setup.tools[CANARY].name":                      "setup.tools",
		"auth_token.bidi_generate_content_setup.system_instruction.CANARY.parts":         "setup.systemInstruction",
		"auth_token.uses CANARY":                                                         "",
		"CANARY":                                                                         "",
		"":                                                                               "",
	} {
		if got := known(said); got != want {
			t.Errorf("%s is told as %s", said, got)
		}
	}
	answer := `{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"CANARY","details":[` +
		`{"@type":"type.googleapis.com/google.rpc.DebugInfo","fieldViolations":"CANARY"},` +
		`{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":["CANARY",{"field":7},` +
		strings.Repeat(`{"field":"auth_token.uses","description":"CANARY"},`, 20) + `{"field":"auth_token.field_mask","description":"CANARY"}]}]}}`
	ts := service(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(answer))
	})
	_, err := client(t, Config{BaseURL: ts.URL}).Mint(t.Context(), request())
	if err == nil || err.Error() != "the token service refused: http 400 INVALID_ARGUMENT, because of uses, fieldMask" {
		t.Errorf("it says %v", err)
	}
	var many []any
	for _, name := range []string{"model", "tools", "labels", "proactivity", "generation_config", "avatar_config", "safety_settings", "history_config", "session_resumption"} {
		many = append(many, map[string]any{"field": "auth_token.bidi_generate_content_setup." + name})
	}
	if got := fieldsOf([]map[string]any{{"fieldViolations": many}}); len(got) != maxFields || !slices.Contains(got, "setup.historyConfig") {
		t.Errorf("%q", got)
	}
}
