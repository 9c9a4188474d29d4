package emulator

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
)

// function is one that the client declared.
type function struct {
	name   string
	schema any  // of its arguments; nil: none
	async  bool // NON_BLOCKING: the model goes on while it runs
}

// toolset is what the setup or an update declares.
type toolset struct {
	functions []function
	search    bool // googleSearch
}

// toolsOf reads tools for a model. What a model without a tool does about it is
// assumed: it refuses.
func toolsOf(tools []tree, can capability) (set toolset, no *refusal) {
	for _, tool := range tools {
		if slices.ContainsFunc(can.noTools, tool.has) {
			return set, errArgument()
		}
		set.search = set.search || tool.has("googleSearch")
		for _, declared := range tool.trees("functionDeclarations") {
			f := function{name: declared.text("name"), schema: declared["parameters"], async: can.calling == nonBlocking || can.calling == onlyNonBlocking}
			if f.schema == nil {
				f.schema = declared["parametersJsonSchema"]
			}
			if said := declared.text("behavior"); can.calling <= nonBlocking && (said == "BLOCKING" || said == "NON_BLOCKING") {
				f.async = said == "NON_BLOCKING"
			}
			if f.name == "" || can.calling == onlyNonBlocking && declared.text("behavior") == "BLOCKING" {
				return set, errArgument()
			}
			set.functions = append(set.functions, f)
		}
	}
	return set, nil
}

// call is one that waits for its response.
type call struct {
	id string
	function
	by *turn // that made it
}

// calling is the state of all calls of a connection. A call does not survive
// its connection: no handle covers it.
type calling struct {
	pending []call
	settled []string // ids that were answered or withdrawn; what still comes for them is ignored
	results []string // of calls, to be told when the model is idle
	silent  bool     // one has returned of which nothing is told
}

// maxSettled bounds the ids that are known to be done with, maxCalls the calls
// that may wait.
const (
	maxSettled = 256
	maxCalls   = 64
)

// call asks the client to run functions, in one message.
func (c *conversation) call(t *turn, functions []function) {
	var calls []any
	for _, f := range functions {
		made := call{c.callID(), f, t}
		args := arguments(f, c.world.options.Seed)
		c.calling.pending = append(c.calling.pending, made)
		calls = append(calls, tree{"id": made.id, "name": f.name, "args": args})
		written, _ := json.Marshal(args)
		t.output.text += textTokens(f.name) + textTokens(string(written))
	}
	c.send(tree{"toolCall": tree{"functionCalls": calls}})
}

// callID is of the form that was observed most; it differs between models.
func (c *conversation) callID() string {
	n := c.world.sessions.nextCall(c.session)
	id := hash(fmt.Sprintf("%d %s %d", c.world.options.Seed, c.session.id, n)) >> 1
	return "function-call-" + strconv.FormatUint(id, 10)
}

// withdraw takes back those pending calls that fit.
func (c *conversation) withdraw(fits func(call) bool) {
	var ids []any
	c.calling.pending = slices.DeleteFunc(c.calling.pending, func(one call) bool {
		if !fits(one) {
			return false
		}
		ids = append(ids, one.id)
		c.settle(one.id)
		return true
	})
	if len(ids) > 0 {
		c.send(tree{"toolCallCancellation": tree{"ids": ids}})
	}
}

func (c *conversation) settle(id string) {
	c.calling.settled = append(c.calling.settled, id)
	if extra := len(c.calling.settled) - maxSettled; extra > 0 {
		c.calling.settled = slices.Delete(c.calling.settled, 0, extra)
	}
}

// blocked reports whether the turn still waits for a response.
func (c *conversation) blocked(t *turn) bool {
	return slices.ContainsFunc(c.calling.pending, func(one call) bool { return one.by == t && !one.async })
}

// toolResponse takes what functions returned. One for a call that was withdrawn
// meanwhile, or has been answered, is ignored (assumed); any other id is an
// error (assumed).
func (c *conversation) toolResponse(responses []tree) *refusal {
	for _, r := range responses {
		if id := r.text("id"); !slices.Contains(c.calling.settled, id) && c.find(id) < 0 {
			return errArgument()
		}
	}
	for _, r := range responses {
		if i := c.find(r.text("id")); i >= 0 {
			c.returned(i, r)
		}
	}
	return nil
}

func (c *conversation) find(id string) int {
	return slices.IndexFunc(c.calling.pending, func(one call) bool { return one.id == id })
}

// returned goes on with a response: the answer that waited for it does, or else
// there is a new one, when its scheduling says (documented). WHEN_IDLE is the
// default (documented).
func (c *conversation) returned(i int, response tree) {
	one := c.calling.pending[i]
	if !one.async || !response.flag("willContinue") {
		c.calling.pending = slices.Delete(c.calling.pending, i, i+1)
		c.settle(one.id)
	}
	result := one.name + " says " + outcome(response.tree("response"))
	c.memory = c.memory.learnt(result)
	returned, _ := json.Marshal(response.tree("response"))
	c.heard.tools += textTokens(string(returned))

	scheduling := response.text("scheduling")
	switch {
	case c.taken:
		c.calling.silent = true // as far as the model is concerned
		if one.by != nil && one.by == c.turn && !c.blocked(c.turn) {
			c.finish(c.turn)
		}
		return
	case one.by != nil && one.by == c.turn && !one.async:
		c.turn.results = append(c.turn.results, result)
		c.proceed(c.turn)
		return
	case scheduling == "SILENT":
		c.calling.silent = true
		return
	case scheduling == "INTERRUPT":
		c.interrupt()
	}
	c.calling.results = append(c.calling.results, result)
	if extra := len(c.calling.results) - maxCalls; extra > 0 {
		c.calling.results = slices.Delete(c.calling.results, 0, extra)
	}
}

// proceed continues a turn whose calls have all been answered.
func (c *conversation) proceed(t *turn) {
	if c.turn == t && !c.blocked(t) {
		t.input.add(c.heard)
		c.heard = usage{}
		c.say(t, reaction{text: told(t.results)})
	}
}

// told is how results are said.
func told(results []string) string {
	if len(results) == 0 {
		return "Then I do without."
	}
	return cut(strings.Join(results, ". "), maxReply) + "."
}

// outcome is a response in words: output, error, or all of it (documented keys).
func outcome(response tree) string {
	v, ok := response["output"]
	if !ok {
		if v, ok = response["error"]; ok {
			return "error " + inText(v)
		}
		v = response
	}
	return inText(v)
}

func inText(v any) string {
	s, ok := v.(string)
	if !ok {
		b, _ := json.Marshal(v)
		s = string(b)
	}
	return strings.TrimRight(cut(strings.ToValidUTF8(s, ""), maxHeard), " .!?")
}

// withdrawLater lets the call be withdrawn after d, if it still waits.
func (c *conversation) withdrawLater(id string, d time.Duration) {
	c.agenda.add(c.world.clock.Now().Add(d), func() {
		i := c.find(id)
		if i < 0 {
			return
		}
		t := c.calling.pending[i].by
		c.withdraw(func(one call) bool { return one.id == id })
		if t == c.turn && t.started.IsZero() {
			c.proceed(t)
		} else if c.turn == nil {
			c.offerHandle()
		}
	})
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}
