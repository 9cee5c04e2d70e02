package message

// A Kind is what a message is about ("Sources"). The numbers are on the wire and in the interest document: they do not change.
type Kind uint8

// The kinds.
const (
	Custom      Kind = iota + 1 // a publish on a topic of the product's own; the payload is as published
	Status                      // online, offline
	Property                    // property post
	Event                       // event post
	Batch                       // properties or events of several times in one message
	Reply                       // answer to a property set or an asynchronous service, or that it could not be sent
	History                     // properties or events of the past
	Lifecycle                   // device created, deleted, enabled, disabled
	Topology                    // relation of a gateway made, removed, enabled, disabled
	Found                       // sub-devices that a gateway found
	Tags                        // tags that a device reported
	OTAResult                   // an upgrade ended
	OTAProgress                 // an upgrade goes on
	OTAVersion                  // a module has another version
	OTAJob                      // a batch of upgrades changed its state

	KindCount = iota + 1
)

var kindNames = [KindCount]string{"unknown", "custom", "status", "property", "event", "batch", "reply", "history", "lifecycle", "topology",
	"found", "tags", "ota_result", "ota_progress", "ota_version", "ota_job"}

// String is the kind's name in logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[0]
}
