// Package storetest is the contract of package store as a test suite. Every implementation runs it.
package storetest

import (
	"fmt"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

// Stores is what an implementation offers.
type Stores interface {
	Products() store.Products
	Scripts() store.Scripts
	Devices() store.Devices
	Certificates() store.Certificates
	Sessions() store.Sessions
	Nodes() store.Nodes
	Properties() store.Properties
	Events() store.Events
	Calls() store.Calls
	DesiredProperties() store.DesiredProperties
	OfflineMessages() store.OfflineMessages
	Receipts() store.Receipts
	DeadLetters() store.DeadLetters
	Applications() store.Applications
	Shadows() store.Shadows
	DeviceInfos() store.DeviceInfos
	NetworkStatuses() store.NetworkStatuses
	Topology() store.Topology
	Discoveries() store.Discoveries
	RemoteConfigs() store.RemoteConfigs
	DeviceVersions() store.DeviceVersions
	ProductDevices() store.ProductDevices
	Files() store.Files
	Jobs() store.Jobs
	Rules() store.Rules
	RuleIndex() store.RuleIndex
	Subscriptions() store.Subscriptions
	Ledger() store.Ledger
	ForwardDeads() store.ForwardDeads
}

// Run runs the suite. open makes an empty store whose life ends with the test.
func Run(t *testing.T, open func(t *testing.T) Stores) {
	tests := []struct {
		name string
		run  func(t *testing.T, s Stores)
	}{
		{"products", testProducts},
		{"scripts", testScripts},
		{"certificates", testCertificates},
		{"devices", testDevices},
		{"device_credentials", testCredentials},
		{"device_credentials_race", testCredentialsRace},
		{"session_flaps", testFlaps},
		{"device_pages", testDevicePages},
		{"device_leftovers", testLeftovers},
		{"device_deletion", testDeviceDeletion},
		{"device_creation_race", testDeviceRace},
		{"sessions", testSessions},
		{"heard", testHeard},
		{"session_of_one_batch", testSessionBatch},
		{"session_race", testSessionRace},
		{"subscriptions", testSubscriptions},
		{"gateway_sessions", testGatewaySessions},
		{"nodes", testNodes},
		{"topology", testTopology},
		{"topology_race", testTopologyRace},
		{"topology_of_deleted_devices", testTopologyDeletion},
		{"discoveries", testDiscoveries},
		{"logins_over_gateways", testGatewayLogins},
		{"properties", testProperties},
		{"properties_of_one_batch", testPropertyBatch},
		{"property_identifiers", testPropertyIdentifiers},
		{"property_volume", testPropertyVolume},
		{"history_only", testHistoryOnly},
		{"history_pages", testHistoryPages},
		{"events", testEvents},
		{"calls", testCalls},
		{"event_volume", testEventVolume},
		{"desired", testDesired},
		{"persistent_sessions", testPersistentSessions},
		{"receipts", testReceipts},
		{"repeated", testRepeated},
		{"offline_messages", testOfflineMessages},
		{"offline_message_volume", testOfflineVolume},
		{"dead_letters", testDeadLetters},
		{"applications", testApplications},
		{"shadows", testShadows},
		{"device_infos", testDeviceInfos},
		{"device_tags", testDeviceTags},
		{"network_statuses", testNetworkStatuses},
		{"remote_configs", testRemoteConfigs},
		{"device_versions", testDeviceVersions},
		{"product_devices", testProductDevices},
		{"files", testFiles},
		{"jobs", testJobs},
		{"rules", testRules},
		{"rule_index", testRuleIndex},
		{"product_subscriptions", testProductSubscriptions},
		{"ledger", testLedger},
		{"forward_deads", testForwardDeads},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

func ref(name string) iot.DeviceRef {
	return iot.DeviceRef{ProductKey: "a1storetest", DeviceName: iot.DeviceName(name)}
}

func newDevice(name string, createdAt int64) *store.Device {
	return &store.Device{
		Ref: ref(name), IotID: iot.IotID("iot-" + name), Secret: iot.Secret("secret-of-" + name), Nickname: "灯 " + name,
		CreatedAt: createdAt, UpdatedAt: createdAt,
	}
}

func newProduct(key iot.ProductKey) *store.Product {
	return &store.Product{
		Key: key, Name: "Lamp 灯", Secret: "productsecret016", Senior: true, NodeType: 1, DataFormat: 1, AuthType: "secret", CategoryKey: "Lighting",
		Description: "d", NetType: "WIFI", ProtocolType: "modbus", ValidateType: 1, Status: "DEVELOPMENT_STATUS", DynamicRegister: true,
		Topics: store.DefaultTopics("a1"), CreatedAt: 1_700_000_000_000, UpdatedAt: 1_700_000_000_001,
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustAll(t *testing.T, errs []error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("item %d: %v", i, err)
		}
	}
}

func wantKind(t *testing.T, err error, kind iot.Kind, doing string) {
	t.Helper()
	if !iot.Is(err, kind) {
		t.Errorf("%s: got %v, want %s", doing, err, kind)
	}
}

func equal(t *testing.T, got, want any, what string) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}
