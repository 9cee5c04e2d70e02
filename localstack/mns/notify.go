package mns

import (
	"encoding/json"
	"strconv"
)

// contentTypes of notifications by format. That of JSON is not documented.
var contentTypes = map[string]string{
	formatXML:        "text/xml;charset=utf-8",
	formatJSON:       "application/json;charset=utf-8",
	formatSimplified: "text/plain;charset=utf-8",
}

// format makes what a subscriber gets, "NotifyContentFormat".
func (s *Server) format(l *lane, format string, n notification) []byte {
	switch format {
	case formatSimplified:
		return []byte(n.Body)
	case formatJSON:
		body, err := json.Marshal(struct {
			TopicOwner, TopicName, Subscriber, SubscriptionName string
			MessageID                                           string `json:"MessageId"`
			Message, MessageMD5                                 string
			MessageTag                                          string `json:",omitempty"`
			PublishTime                                         string // a string in the document
		}{s.account, l.topic, s.account, l.name, n.ID, n.Body, bodyMD5([]byte(n.Body)), n.Tag, strconv.FormatInt(n.Published, 10)})
		if err == nil { // strings always marshal
			return body
		}
	}
	var d document
	d.open("Notification")
	d.leaf("TopicOwner", s.account)
	d.leaf("TopicName", l.topic)
	d.leaf("Subscriber", s.account)
	d.leaf("SubscriptionName", l.name)
	d.leaf("MessageId", n.ID)
	d.leaf("Message", n.Body)
	d.leaf("MessageMD5", bodyMD5([]byte(n.Body)))
	if n.Tag != "" {
		d.leaf("MessageTag", n.Tag)
	}
	d.number("PublishTime", n.Published)
	d.close("Notification")
	return d.bytes()
}
