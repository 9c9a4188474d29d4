package emulator

import (
	"fmt"
	"slices"
	"time"
)

// performance is what a connection does for a scenario.
type performance struct {
	play  *play         // nil: nothing
	taken bool          // the message being handled is the scenario's to answer
	step  *scenarioStep // being done
	acts  []action
	from  time.Time // they are done from then on
	said  *turn     // that the step began last
}

// offer tells the scenario of an event and reports whether it is not the model's
// to answer.
func (c *conversation) offer(e event) (taken bool) {
	taken, wrong := c.play.offer(c, e)
	return c.fails(wrong) || taken
}

// fails ends the connection if something is wrong.
func (c *conversation) fails(wrong string) bool {
	if wrong != "" {
		c.stop(ending{code: permissionDenied.close, reason: wrong})
	}
	return wrong != ""
}

// act goes on with the scenario as far as that is possible now.
func (c *conversation) act() {
	for c.play != nil && c.end == nil {
		if c.world.play.Load() != c.play { // it was replaced
			c.play = nil
			return
		}
		now := c.world.clock.Now()
		if c.step == nil {
			if c.step = c.play.begin(c); c.step == nil {
				return
			}
			c.acts, c.from, c.said = c.step.do, now.Add(c.step.after), nil
			if c.step.after > 0 {
				c.agenda.add(c.from, c.idle)
			}
		}
		if now.Before(c.from) {
			return
		}
		for len(c.acts) > 0 && c.end == nil {
			a := c.acts[0]
			if c.turn != nil && (a.speaks || c.turn == c.said) {
				return
			}
			c.acts = c.acts[1:]
			if wrong := a.do(c); wrong != "" {
				c.fails(c.play.fail(wrong))
			}
			if a.speaks {
				c.said = c.turn
			}
		}
		if len(c.acts) == 0 {
			c.step = nil
			c.play.next()
		}
	}
}

// sendRaw sends a message that a scenario gives, and knows the calls in it.
func (c *conversation) sendRaw(message tree) (wrong string) {
	for _, one := range message.tree("toolCall").trees("functionCalls") {
		if len(c.calling.pending) == maxCalls {
			return "too many calls wait"
		}
		c.calling.pending = append(c.calling.pending, call{id: one.text("id"), function: function{name: one.text("name")}})
	}
	for _, id := range message.tree("toolCallCancellation").list("ids") {
		if i := c.find(fmt.Sprint(id)); i >= 0 {
			c.calling.pending = slices.Delete(c.calling.pending, i, i+1)
			c.settle(fmt.Sprint(id))
		}
	}
	c.send(message)
	return ""
}

// callAs calls a function outside of any turn. Nil arguments are made up.
func (c *conversation) callAs(name string, args tree) (wrong string) {
	if len(c.calling.pending) == maxCalls {
		return "too many calls wait"
	}
	f := function{name: name}
	if i := slices.IndexFunc(c.tools.functions, func(f function) bool { return f.name == name }); i >= 0 {
		f = c.tools.functions[i]
	}
	if args == nil {
		args = arguments(f, c.world.options.Seed)
	}
	if c.updates {
		c.send(tree{"sessionResumptionUpdate": tree{}}) // not resumable while calling
	}
	made := call{id: c.callID(), function: f}
	c.calling.pending = append(c.calling.pending, made)
	c.send(tree{"toolCall": tree{"functionCalls": []any{tree{"id": made.id, "name": name, "args": args}}}})
	return ""
}
