package shadow

import (
	"context"
	"strconv"
	"time"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/store"
)

// A Problem is what is wrong with the document that an application gives, in the words of the OpenAPI ("iot.messagebroker.").
type Problem string

// The problems.
const (
	NullShadowMessage                 Problem = "NullShadowMessage"
	ShadowMessageLengthIsLarge        Problem = "ShadowMessageLengthIsLarge"
	ShadowMessageIsNotJSON            Problem = "ShadowMessageIsNotJson"
	NotFoundMethod                    Problem = "NotFoundMethodInShadowMessage"
	MethodValueIsNotUpdate            Problem = "MethodValueIsNotUpdate"
	NotFoundState                     Problem = "NotFoundStateInShadowMessage"
	NotFoundDesire                    Problem = "NotFoundDesireInShadowMessage"
	DesireValueIsNull                 Problem = "DesireValueIsNullInShadowMessage"
	DesireInfoIsNotJSON               Problem = "DesireInfoInShadowMessageIsNotJson"
	NoneElementInDesire               Problem = "NoneElementInDesire"
	ElementKeyOrValueIsNullInDesire   Problem = "ElementKeyOrValueIsNullInDesire"
	TooManyElementInDesire            Problem = "TooManyElementInDesire"
	NotFoundVersionOrNullVersionValue Problem = "NotFoundVersionOrNullVersionValue"
	InvalidVersionValue               Problem = "InvalidVersionValueInShadowMessage"
	UpdateFailed                      Problem = "UpdateDeviceShadowMessageFailed" // the version is not greater than the shadow's
)

// A ProblemError is a refusal of an application's document.
type ProblemError struct {
	Problem Problem
	Detail  string
}

func (e *ProblemError) Error() string { return string(e.Problem) + ": " + e.Detail }

func wrong(p Problem, detail string) error { return &ProblemError{p, detail} }

// Get answers a device's shadow as applications read it, a JSON object:
//
//	{"method":"update","state":{"desired":{…},"reported":{…}},"metadata":{…},"timestamp":1767225700,"version":2}
//
// That of a device that never had one is {"state":{},"metadata":{},"timestamp":0,"version":0}.
func (s *Service) Get(ctx context.Context, dev iot.DeviceRef) ([]byte, error) {
	row, err := s.shadows.Get(ctx, dev)
	if err != nil {
		return nil, err
	}
	d, err := open(row)
	if err != nil {
		return nil, err
	}
	if row.Revision == 0 {
		return []byte(`{"state":{},"metadata":{},"timestamp":0,"version":0}`), nil
	}
	doc := d.appendContent([]byte(`{"method":"update",`))
	doc = strconv.AppendInt(append(doc, `,"timestamp":`...), row.UpdatedAt/1000, 10)
	doc = strconv.AppendInt(append(doc, `,"version":`...), row.Version, 10)
	return append(doc, '}'), nil
}

// Update puts what an application desires into a device's shadow, in place of what was desired before or, with delta, into it. It
// answers the control message that the device is to hear if it is connected. Errors: a *ProblemError, Throttled, Unavailable.
func (s *Service) Update(ctx context.Context, dev iot.DeviceRef, message []byte, delta bool) (control []byte, err error) {
	desired, version, err := parseDesired(message)
	if err != nil {
		return nil, err
	}
	err = store.Revise(ctx, func() error {
		at := s.now()
		row, err := s.shadows.Get(ctx, dev)
		if err != nil {
			return err
		}
		d, err := open(row)
		if err != nil {
			return err
		}
		if !d.advance(version, version != 0) {
			return wrong(UpdateFailed, "version "+strconv.FormatInt(version, 10)+" is not greater than the shadow's, "+strconv.FormatInt(row.Version, 10))
		}
		control, err = d.desire(desired, delta, at)
		if err != nil {
			return err
		}
		return s.shadows.Put(ctx, row)
	})
	return control, err
}

// desire changes the desired section and makes the control message.
func (d *document) desire(desired []byte, delta bool, at time.Time) ([]byte, error) {
	if !delta {
		d.desired = node{}
	}
	d.desired.merge(desired, at.Unix())
	if len(d.desired.times(nil)) > MaxAttributes {
		return nil, wrong(TooManyElementInDesire, "more than 128 attributes in desired")
	}
	if d.close(at.UnixMilli()) != nil {
		return nil, wrong(ShadowMessageLengthIsLarge, "the shadow would be larger than 16 KB")
	}
	return d.appendControl(nil, at.Unix()), nil
}

// parseDesired checks an application's document. Version 0 asks for no check.
func parseDesired(message []byte) (desired []byte, version int64, err error) {
	switch {
	case len(message) == 0:
		return nil, 0, wrong(NullShadowMessage, "ShadowMessage is empty")
	case len(message) > MaxDocument:
		return nil, 0, wrong(ShadowMessageLengthIsLarge, "ShadowMessage is larger than 16 KB")
	}
	data, err := alink.Normalize(message)
	if err != nil || data[0] != '{' {
		return nil, 0, wrong(ShadowMessageIsNotJSON, "ShadowMessage is not a JSON object")
	}
	var method, state, number []byte
	for name, value := range alink.Members(data) {
		switch string(name) {
		case "method":
			method = value
		case "state":
			state = value
		case "version":
			number = value
		}
	}
	switch {
	case text(method) == "":
		return nil, 0, wrong(NotFoundMethod, "ShadowMessage has no method")
	case text(method) != methodUpdate:
		return nil, 0, wrong(MethodValueIsNotUpdate, "the method is not update")
	case len(state) == 0 || state[0] != '{':
		return nil, 0, wrong(NotFoundState, "ShadowMessage has no state")
	}
	for name, value := range alink.Members(state) {
		if string(name) == "desired" {
			desired = value
		}
	}
	if err := checkDesired(desired); err != nil {
		return nil, 0, err
	}
	if len(number) == 0 || string(number) == "null" {
		return nil, 0, wrong(NotFoundVersionOrNullVersionValue, "ShadowMessage has no version")
	}
	version, err = strconv.ParseInt(string(number), 10, 64)
	if err != nil || version < -1 {
		return nil, 0, wrong(InvalidVersionValue, "the version is not a number from -1 up")
	}
	return desired, version, nil
}

func checkDesired(desired []byte) error {
	switch {
	case len(desired) == 0:
		return wrong(NotFoundDesire, "state has no desired")
	case null(desired, true):
		return wrong(DesireValueIsNull, "desired is null")
	case desired[0] != '{':
		return wrong(DesireInfoIsNotJSON, "desired is not a JSON object")
	case len(desired) == len("{}"):
		return wrong(NoneElementInDesire, "desired names no attribute")
	}
	switch m := measureOf(desired); {
	case m.null || m.badName == "(empty)":
		return wrong(ElementKeyOrValueIsNullInDesire, "an attribute in desired has no name or no value")
	case m.badName != "":
		return wrong(DesireInfoIsNotJSON, "names of attributes have letters, digits, _ and -")
	case m.leaves > MaxAttributes:
		return wrong(TooManyElementInDesire, "more than 128 attributes in desired")
	case m.depth > MaxDepth:
		return wrong(DesireInfoIsNotJSON, "desired is nested deeper than 5")
	}
	return nil
}
