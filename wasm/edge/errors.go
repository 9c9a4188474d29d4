package edge

import "errors"

var (
	errNotOurs = errors.New("client message was not made by this edge: use NewInput")
	errNotJSON = errors.New("client message cannot be written as JSON: send plain objects, strings, numbers and booleans")
)
