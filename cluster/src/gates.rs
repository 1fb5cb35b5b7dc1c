use crate::Version;

/// Feature gates that were removed, by the minor that no longer knows them; those of the first row by any that can be
/// installed. A component that is told of a gate it does not know does not start.
const REMOVED: &[(u64, &str)] = &[
    (
        24,
        "AllowInsecureBackendProxy AttachVolumeLimit BalanceAttachedNodeVolumes BlockVolume \
         BoundServiceAccountTokenVolume CRIContainerLogRotation CSIBlockVolume CSIDriverRegistry \
         CSIMigrationAWSComplete CSIMigrationAzureDiskComplete CSIMigrationAzureFileComplete \
         CSIMigrationGCEComplete CSIMigrationOpenStackComplete CSIMigrationvSphereComplete CSINodeInfo \
         CronJobControllerV2 EvenPodsSpread ExternalPolicyForExternalIP HugePageStorageMediumSize HyperVContainer \
         ImmutableEphemeralVolumes LegacyNodeRoleBehavior NamespaceDefaultLabelName NodeDisruptionExclusion \
         NodeLease RootCAConfigMap RotateKubeletClientCertificate RunAsGroup RuntimeClass SCTPSupport \
         ServiceAccountIssuerDiscovery ServiceAppProtocol ServiceNodeExclusion ServiceTopology SetHostnameAsFQDN \
         StartupProbe StreamingProxyRedirects SupportNodePidsLimit SupportPodPidsLimit Sysctls TokenRequest \
         TokenRequestProjection ValidateProxyRedirects VolumePVCDataSource VolumeSnapshotDataSource WarningHeaders \
         WindowsGMSA WindowsRunAsUserName",
    ),
    (
        25,
        "CSIServiceAccountToken CSIVolumeFSGroupPolicy ConfigurableFSGroupPolicy EndpointSlice \
         EndpointSliceNodeName EndpointSliceProxying GenericEphemeralVolume IngressClassNamespacedParams \
         PodDisruptionBudget SelectorIndex StorageObjectInUseProtection TTLAfterFinished VolumeSubpath \
         WindowsEndpointSliceProxying",
    ),
    (
        26,
        "CSIMigrationOpenStack CSRDuration DefaultPodTopologySpread DynamicKubeletConfig IndexedJob \
         NonPreemptingPriority PodAffinityNamespaceSelector PodOverhead PreferNominatedNode \
         ServiceLBNodePortControl ServiceLoadBalancerClass SuspendJob",
    ),
    (
        27,
        "CSIInlineVolume CSIMigration CSIMigrationAWS CSIMigrationAzureDisk ControllerManagerLeaderMigration \
         DaemonSetUpdateSurge EphemeralContainers ExpandCSIVolumes ExpandInUsePersistentVolumes \
         ExpandPersistentVolumes IPv6DualStack IdentifyPodOS LocalStorageCapacityIsolation NetworkPolicyEndPort \
         StatefulSetMinReadySeconds",
    ),
    (
        28,
        "AdvancedAuditing CSIMigrationGCE CSIStorageCapacity DelegateFSGroupToCSIDriver DevicePlugins \
         DisableAcceleratorUsageMetrics DryRun EndpointSliceTerminatingCondition KubeletCredentialProviders \
         MixedProtocolLBService NetworkPolicyStatus PodHasNetworkCondition PodSecurity ServiceIPStaticSubrange \
         ServiceInternalTrafficPolicy UserNamespacesStatelessPodsSupport WindowsHostProcessContainers",
    ),
    (
        29,
        "CSIMigrationvSphere CronJobTimeZone DownwardAPIHugePages GRPCContainerProbe \
         JobMutableNodeSchedulingDirectives JobTrackingWithFinalizers KubeletPodResourcesGetAllocatable \
         LegacyServiceAccountTokenNoAutoGeneration MultiCIDRRangeAllocator OpenAPIV3 ProbeTerminationGracePeriod \
         RetroactiveDefaultStorageClass SeccompDefault TopologyManager",
    ),
    (
        30,
        "APISelfSubjectReview CSIMigrationAzureFile ExpandedDNSConfig ExperimentalHostUserNamespaceDefaulting \
         IPTablesOwnershipCleanup KubeletPodResources LegacyServiceAccountTokenTracking MinimizeIPTablesRestore \
         ProxyTerminatingEndpoints RemoveSelfLink SecurityContextDeny",
    ),
    (
        31,
        "APIPriorityAndFairness CSIMigrationRBD CSINodeExpandSecret ConsistentHTTPGetHandlers \
         CustomResourceValidationExpressions DefaultHostNetworkHostPortsInPodTemplates InTreePluginAWSUnregister \
         InTreePluginAzureDiskUnregister InTreePluginAzureFileUnregister InTreePluginGCEUnregister \
         InTreePluginOpenStackUnregister InTreePluginRBDUnregister InTreePluginvSphereUnregister JobReadyPods \
         ReadWriteOncePod ServiceNodePortStaticSubrange SkipReadOnlyValidationGCE",
    ),
    (
        32,
        "CloudDualStackNodeIPs DRAControlPlaneController HPAContainerMetrics KMSv2 KMSv2KDF \
         LegacyServiceAccountTokenCleanUp MinDomainsInPodTopologySpread NewVolumeManagerReconstruction \
         NodeOutOfServiceVolumeDetach PodHostIPs ServerSideApply ServerSideFieldValidation \
         StableLoadBalancerNodeSet ValidatingAdmissionPolicy ZeroLimitedNominalConcurrencyShares",
    ),
    (
        33,
        "APIListChunking AdmissionWebhookMatchConditions AggregatedDiscoveryEndpoint AppArmor AppArmorFields \
         CPUManager DisableCloudProviders DisableKubeletCloudCredentialProviders EfficientWatchResumption \
         JobPodFailurePolicy KubeProxyDrainingTerminatingNodes PDBUnhealthyPodEvictionPolicy \
         PersistentVolumeLastPhaseTransitionTime RemainingItemCount VolumeCapacityPriority WatchBookmark",
    ),
    (
        34,
        "DevicePluginCDIDevices ElasticIndexedJob LegacySidecarContainers PodDisruptionConditions \
         StatefulSetStartOrdinal",
    ),
    (
        35,
        "AllowServiceLBStatusOnNonLB ComponentSLIs CronJobsScheduledAnnotation LoadBalancerIPMode PodIndexLabel \
         ProbeHostPodSecurityStandards SizeMemoryBackedVolumes StatefulSetAutoDeletePVC \
         StrictCostEnforcementForVAP StrictCostEnforcementForWebhooks UserNamespacesPodSecurityStandards",
    ),
    (
        36,
        "CSIMigrationPortworx HonorPVReclaimPolicy InPlacePodVerticalScalingAllocatedStatus \
         InTreePluginPortworxUnregister MemoryManager ServiceTrafficDistribution \
         StructuredAuthorizationConfiguration TopologyAwareHints WatchFromStorageWithoutResourceVersion",
    ),
];

/// The minor of Kubernetes from which on this version's line no longer knows the gate.
pub(crate) fn gone_since(gate: &str, version: &Version) -> Option<u64> {
    let (since, _) = REMOVED
        .iter()
        .find(|(_, gates)| gates.split(' ').any(|known| known == gate))?;
    (version.minor() >= (1, *since)).then_some(*since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_known_until_the_minor_that_removed_it() {
        for (gate, since) in [
            ("RuntimeClass", 24),
            ("TTLAfterFinished", 25),
            ("ExpandCSIVolumes", 27),
            ("CSIStorageCapacity", 28),
            ("SeccompDefault", 29),
            ("MemoryManager", 36),
        ] {
            let gone = |minor| gone_since(gate, &Version::new(1, minor, 0));
            assert_eq!(
                (gone(since - 1), gone(since), gone(40)),
                (None, Some(since), Some(since)),
                "{gate}"
            );
        }
        assert_eq!(
            gone_since("RotateKubeletServerCertificate", &Version::new(1, 36, 0)),
            None
        );
    }

    #[test]
    fn the_list_is_in_order_and_names_each_gate_once() {
        assert!(REMOVED.is_sorted_by_key(|(since, _)| *since));
        let mut seen = std::collections::BTreeSet::new();
        for (_, gates) in REMOVED {
            assert!(gates.split(' ').is_sorted());
            for gate in gates.split(' ') {
                assert!(!gate.is_empty() && seen.insert(gate), "{gate}");
            }
        }
    }
}
