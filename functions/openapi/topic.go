package main

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"unicode/utf8"

	"relink/shared/downlink"
	"relink/shared/logs"
	"relink/shared/openapi"
	"relink/shared/product"
	"relink/shared/store"
	"relink/shared/topic"
)

// Codes of the actions on topic categories ("Messages, topics, shadow").
const (
	codeTopicName      = "iot.messagebroker.InvalidFormattedTopicName"
	codeTopicNull      = "iot.messagebroker.NullTopicName"
	codeTopicOperation = "iot.messagebroker.InvalidTopicTemplateOperationValue"
	codeTopicNoOp      = "iot.messagebroker.NullTopicTemplateOperation"
	codeTopicExists    = "iot.messagebroker.TopicAlreadyFound"
	codeTopicMissing   = "iot.messagebroker.TopicTemplateIsNotFound"
	codeTopicCount     = "iot.messagebroker.TopicTemplateCountExceedMax"
	codeTopicID        = "iot.messagebroker.InvalidFormattedTopicTemplateId"
	codeTopicNullID    = "iot.messagebroker.NullTopicTemplateId"
)

type topicID struct {
	TopicID int64 `json:"TopicId"`
}

func (a *api) createProductTopic(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	var t store.Topic
	if err := readTopic(c, &t); err != nil {
		return nil, err
	}
	added, p, err := a.products.AddTopic(ctx, pk, t)
	if err != nil {
		return nil, topicError(err)
	}
	a.tellClasses(ctx, p)
	return topicID{added.ID}, nil
}

func (a *api) updateProductTopic(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := readTopicID(c)
	if err != nil {
		return nil, err
	}
	p, err := a.products.ChangeTopic(ctx, id, func(t *store.Topic) error { return readTopic(c, t) })
	if err != nil {
		return nil, topicError(err)
	}
	c.Device.ProductKey = p.Key
	a.tellClasses(ctx, p)
	return nil, nil
}

func (a *api) deleteProductTopic(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := readTopicID(c)
	if err != nil {
		return nil, err
	}
	p, err := a.products.RemoveTopic(ctx, id)
	if err != nil {
		return nil, topicError(err)
	}
	c.Device.ProductKey = p.Key
	a.tellClasses(ctx, p)
	return nil, nil
}

type topicInfo struct {
	Codec                string `json:",omitempty"`
	Desc                 string
	EnableProxySubscribe bool
	ID                   string `json:"Id"`
	Operation            string // 0: devices publish, 1: they subscribe, 2: both
	ProductKey           string
	TopicShortName       string // the whole topic, in spite of its name
}

func (a *api) queryProductTopic(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	var data struct{ ProductTopicInfo []topicInfo }
	data.ProductTopicInfo = list(len(p.Topics), func(i int) topicInfo {
		t := &p.Topics[i]
		operation := "0"
		if t.Subscribe && t.Publish {
			operation = "2"
		} else if t.Subscribe {
			operation = "1"
		}
		return topicInfo{Codec: t.Codec, Desc: t.Description, EnableProxySubscribe: t.Automatic, ID: strconv.FormatInt(t.ID, 10), Operation: operation,
			ProductKey: string(p.Key), TopicShortName: "/" + string(p.Key) + "/${deviceName}/" + t.Filter}
	})
	return dataAnswer[any]{data}, nil
}

// tellClasses has live sessions know a product's topic classes at once. That fails for none of what is stored: whoever is not told knows them
// with its next login.
func (a *api) tellClasses(ctx context.Context, p *store.Product) {
	o, err := a.commander.Command(ctx, downlink.Command{Classes: &downlink.Classes{ProductKey: p.Key, Revision: p.Revision, Topics: store.Classes(p.Topics)}})
	if err == nil && o.Missed > 0 {
		err = errors.New(strconv.Itoa(o.Missed) + " connectors did not answer")
	}
	if err != nil {
		a.log.WarnContext(ctx, "connected devices are not told of changed topic classes; they have them when they log in again",
			slog.String(logs.FieldProductKey, string(p.Key)), logs.Err(err))
	}
}

func readTopicID(c *openapi.Call) (int64, error) {
	text := c.Params.String("TopicId")
	if text == "" {
		return 0, openapi.Refusef(codeTopicNullID, "TopicId is empty")
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, openapi.Refusef(codeTopicID, "TopicId is not a positive number")
	}
	return id, nil
}

// readTopic reads what a call says of a topic category; what it leaves out stays as it is.
func readTopic(c *openapi.Call, t *store.Topic) error {
	name := c.Params.String("TopicShortName")
	switch operation := c.Params.String("Operation"); operation {
	case "":
		return openapi.Refusef(codeTopicNoOp, "Operation is empty")
	case "SUB", "PUB", "ALL":
		t.Publish, t.Subscribe = operation != "SUB", operation != "PUB"
	default:
		return openapi.Refusef(codeTopicOperation, "Operation is SUB, PUB or ALL")
	}
	if name == "" {
		return openapi.Refusef(codeTopicNull, "TopicShortName is empty")
	}
	if !validShortName(name, t.Subscribe && !t.Publish) {
		return openapi.Refusef(codeTopicName, "TopicShortName is what follows /user/: at most four levels of letters, digits and _, in all %d characters; with SUB a level may be + and the last one #", maxShortName)
	}
	t.Filter = "user/" + name
	if c.Params.Has("Desc") {
		if t.Description = c.Params.String("Desc"); utf8.RuneCountInString(t.Description) > product.MaxDescription {
			return openapi.Refusef(openapi.CodeFormat, "Desc has at most %d characters", product.MaxDescription)
		}
	}
	if c.Params.String("Codec") != "" {
		return openapi.Refusef(openapi.CodeNotSupported, "Codec is not supported: payloads are not compressed")
	}
	automatic, err := c.Params.Bool("EnableProxySubscribe", t.Automatic && t.Subscribe)
	if err != nil {
		return err
	}
	if automatic && !t.Subscribe {
		return openapi.Refusef(codeTopicOperation, "EnableProxySubscribe needs SUB or ALL")
	}
	t.Automatic = automatic
	return nil
}

// maxShortName leaves room for the product key and the shortest device name in a topic.
const maxShortName = topic.MaxLength - len("/a1234567890/dddd/user/")

// validShortName tells whether a category may be called so ("CreateProductTopic"); wild allows + and #.
func validShortName(name string, wild bool) bool {
	levels := strings.Split(name, "/")
	if len(name) > maxShortName || len(levels) > topic.MaxSlashes-3 {
		return false
	}
	for i, level := range levels {
		switch {
		case level == "":
			return false
		case level == "+" || level == "#" && i == len(levels)-1:
			if !wild {
				return false
			}
		case strings.ContainsFunc(level, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_')
		}):
			return false
		}
	}
	return true
}

func topicError(err error) error {
	switch {
	case errors.Is(err, product.ErrTopicExists):
		return openapi.Refusef(codeTopicExists, "the product has a topic category of this name")
	case errors.Is(err, product.ErrTopicMissing):
		return openapi.Refusef(codeTopicMissing, "there is no topic category with this TopicId")
	case errors.Is(err, product.ErrTooManyTopic):
		return openapi.Refusef(codeTopicCount, "the product has %d topic categories, the limit", product.MaxTopics)
	}
	return err
}
