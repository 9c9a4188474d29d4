package edge

import "errors"

var errNotOurs = errors.New("client message was not made by this edge: use NewInput")
