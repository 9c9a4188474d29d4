package edge

import "slices"

// free are the fields whose content is the application's: null is a value there.
var free = []string{"args", "response", "parameters", "parametersJsonSchema", "responseJsonSchema", "partMetadata"}

// withoutNulls takes all members that are null out of n, which is changed by that.
// The service takes null for absence (documented), but was seen to refuse a null
// handle (observed).
func (n node) withoutNulls() node {
	if n.isObject() {
		for _, key := range n.keys() {
			switch member := n.get(key); {
			case member.absent():
				n.remove(key)
			case !slices.Contains(free, key):
				n.set(key, member.withoutNulls())
			}
		}
		return n
	}
	items := n.items()
	if len(items) == 0 {
		return n
	}
	items = slices.DeleteFunc(items, node.absent)
	for i := range items {
		items[i] = items[i].withoutNulls()
	}
	return newList(items)
}
