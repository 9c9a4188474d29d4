package emulator

import (
	"slices"
	"strings"
)

// lock is what a token fixes of the sessions it opens. The zero lock fixes
// nothing.
type lock struct {
	setup    tree       // nil: none given
	paths    [][]string // canonical; nil: no mask
	masked   bool
	switches Switches
	size     int // bytes of memory that setup and paths take, about
}

// newLock resolves mask, the comma-separated paths of an AuthToken's fieldMask.
//
// The rules are those of a standard FieldMask (assumed): a path goes
// through singular messages, lists and maps may only end it. Duplicates and any
// order are fine, since go-genai sends them (observed). snake_case names are
// taken too, since python-genai sends them (what Google does with them nobody
// has measured).
func newLock(setup tree, mask string, switches Switches) (lock, *refusal) {
	l := lock{setup: setup, switches: switches, size: sizeOf(setup)}
	if mask == "" {
		return l, nil
	}
	l.masked = true
	seen := map[string]bool{}
	for path := range strings.SplitSeq(mask, ",") {
		canonical := resolve(path)
		name := strings.Join(canonical, ".")
		if canonical == nil || switches.StrictMask && !strictPaths[name] {
			return lock{}, refuse(invalidArgument, "field_mask is invalid for BidiGenerateContentSetup")
		}
		if !seen[name] {
			seen[name] = true
			l.paths = append(l.paths, canonical)
			l.size += 24 + 16*len(canonical)
		}
	}
	return l, nil
}

// resolve returns the camelCase names along a path, nil if there is none such,
// or none that a setup could fill: a schema may contain another without end.
func resolve(path string) []string {
	var names []string
	for at, segment := setupMessage, ""; path != ""; {
		var more bool
		segment, path, more = strings.Cut(path, ".")
		if at == nil || at.Fields[segment] == nil || more && path == "" || len(names) == maxNesting {
			return nil
		}
		f := at.Fields[segment]
		names = append(names, f.Name)
		at = f.Of
		if f.Repeated || f.Mapped {
			at = nil // nothing resolves below it
		}
	}
	return names
}

// apply gives the setup that a session really gets (documented; enforcement
// observed): with no setup and no mask the client's, with a setup and no mask
// the token's alone, handle included, and with a mask the client's in which
// each masked field is replaced by the token's or, where the token has none,
// cleared (inferred from SDK comments).
func (l lock) apply(client tree) tree {
	if !l.masked && l.setup == nil {
		return client
	}
	if !l.masked {
		return l.keep(client, clone(l.setup).(tree))
	}
	out := clone(client).(tree)
	for _, path := range l.paths {
		v, ok := lookup(l.setup, path)
		parent, isMessage := v.(tree)
		switch {
		case ok && isMessage && l.switches.MergeParents:
			for name, sub := range parent {
				assign(out, append(slices.Clone(path), name), clone(sub))
			}
		case ok:
			assign(out, path, clone(v))
		default:
			remove(out, path)
		}
	}
	return l.keep(client, out)
}

// keep gives the client back what the switches let no lock touch.
func (l lock) keep(client, locked tree) tree {
	handle := client.tree("sessionResumption").text("handle")
	if l.switches.HonourHandle && !l.masked && handle != "" {
		assign(locked, []string{"sessionResumption", "handle"}, handle)
	}
	if l.switches.IgnoreLockedHistory {
		delete(locked, "historyConfig")
		if v, ok := client["historyConfig"]; ok {
			locked["historyConfig"] = v
		}
	}
	return locked
}

// covers reports whether the lock keeps contextUpdate from changing any part of a
// top-level field.
func (l lock) covers(name string) bool {
	if l.switches.AcceptLockedUpdate {
		return false
	}
	if !l.masked {
		return l.setup != nil
	}
	return slices.ContainsFunc(l.paths, func(p []string) bool { return p[0] == name })
}

// form is one word for people.
func (l lock) form() string {
	switch {
	case l.masked:
		return "masked"
	case l.setup != nil:
		return "full"
	}
	return "none"
}

func lookup(t tree, path []string) (any, bool) {
	for _, name := range path[:len(path)-1] {
		t = t.tree(name)
	}
	v, ok := t[path[len(path)-1]]
	return v, ok
}

func assign(t tree, path []string, v any) {
	for _, name := range path[:len(path)-1] {
		sub := t.tree(name)
		if sub == nil {
			sub = tree{}
			t[name] = sub
		}
		t = sub
	}
	t[path[len(path)-1]] = v
}

func remove(t tree, path []string) {
	for _, name := range path[:len(path)-1] {
		t = t.tree(name)
	}
	delete(t, path[len(path)-1])
}
