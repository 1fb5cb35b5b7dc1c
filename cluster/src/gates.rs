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
    // As announced.
    (
        37,
        "AnyVolumeDataSource DeclarativeValidationTakeover GangScheduling PreventStaticPodAPIReferences \
         WorkloadAwarePreemption",
    ),
];

/// Feature gates of the newest minor known, by the minor that was the first to know them; those of the first row by any that
/// can be installed. From Kubernetes' own list of them (`versioned_feature_list.yaml` of 1.36).
const KNOWN: &[(u64, &str)] = &[
    (
        24,
        "APIResponseCompression APIServerIdentity APIServerTracing AllAlpha AllBeta AnyVolumeDataSource \
         CPUCFSQuotaPeriod CPUManagerPolicyAlphaOptions CPUManagerPolicyBetaOptions CPUManagerPolicyOptions \
         CSIVolumeHealth ContextualLogging ExecProbeTimeout GracefulNodeShutdown \
         GracefulNodeShutdownBasedOnPodPriority HPAScaleToZero KubeletInUserNamespace \
         LocalStorageCapacityIsolationFSQuotaMonitoring LogarithmicScaleDown LoggingAlphaOptions \
         LoggingBetaOptions MaxUnavailableStatefulSet MemoryQoS NodeSwap OpenAPIEnums \
         PodAndContainerStatsFromCRI PodDeletionCost ProcMountType QOSReserved RecoverVolumeExpansionFailure \
         RotateKubeletServerCertificate StorageVersionAPI StorageVersionHash WinDSR WinOverlay",
    ),
    (
        25,
        "ContainerCheckpoint KubeletTracing MatchLabelKeysInPodTopologySpread \
         NodeInclusionPolicyInPodTopologySpread SELinuxMountReadWriteOncePod \
         UnauthenticatedHTTP2DOSMitigation UserNamespacesSupport",
    ),
    (
        26,
        "CrossNamespaceVolumeDataSource DynamicResourceAllocation EventedPLEG PodSchedulingReadiness \
         TopologyManagerPolicyAlphaOptions TopologyManagerPolicyBetaOptions TopologyManagerPolicyOptions \
         WindowsHostNetwork",
    ),
    (
        27,
        "CloudControllerManagerWebhook ClusterTrustBundle InPlacePodVerticalScaling \
         KubeletPodResourcesDynamicResources KubeletPodResourcesGet MultiCIDRServiceAllocator NodeLogQuery \
         WatchList",
    ),
    (
        28,
        "CRDValidationRatcheting ConsistentListFromCache JobBackoffLimitPerIndex JobPodReplacementPolicy \
         KMSv1 KubeletCgroupDriverFromCRI PodReadyToStartContainersCondition SchedulerQueueingHints \
         SeparateCacheWatchRPC SidecarContainers UnknownVersionInteroperabilityProxy",
    ),
    (
        29,
        "ClusterTrustBundleProjection DisableNodeKubeProxyVersion ImageMaximumGCAge KubeletSeparateDiskGC \
         MatchLabelKeysInPodAffinity NFTablesProxyMode PodLifecycleSleepAction RuntimeClassInImageCriApi \
         SeparateTaintEvictionController ServiceAccountTokenJTI ServiceAccountTokenNodeBinding \
         ServiceAccountTokenNodeBindingValidation ServiceAccountTokenPodNodeInfo \
         StructuredAuthenticationConfiguration TranslateStreamCloseWebsocketRequests VolumeAttributesClass",
    ),
    (
        30,
        "APIServingWithRoutine CustomResourceFieldSelectors JobManagedBy JobSuccessPolicy \
         OrderedNamespaceDeletion PortForwardWebsockets RecursiveReadOnlyMounts \
         RelaxedEnvironmentVariableValidation RetryGenerateName SELinuxMount StorageNamespaceIndex \
         StorageVersionMigrator",
    ),
    (
        31,
        "AllowDNSOnlyNodeCSR AllowInsecureKubeletCertificateSigningRequests \
         AnonymousAuthConfigurableEndpoints AuthorizeNodeWithSelectors AuthorizeWithSelectors \
         ConcurrentWatchObjectDecode CoordinatedLeaderElection DisableAllocatorDualWrite ImageVolume \
         ReloadKubeletServerCertificateFile ResilientWatchCacheInitialization ResourceHealthStatus \
         SupplementalGroupsPolicy WatchCacheInitializationPostStartHook",
    ),
    (
        32,
        "AllowOverwriteTerminationGracePeriodSeconds AllowUnsafeMalformedObjectDeletion BtreeWatchCache \
         CBORServingAndStorage ComponentFlagz ComponentStatusz DRAAdminAccess DRAResourceClaimDeviceStatus \
         ExternalServiceAccountTokenSigner InPlacePodVerticalScalingExclusiveCPUs KubeletCrashLoopBackOffMax \
         KubeletFineGrainedAuthz KubeletRegistrationGetOnExistsOnly MutatingAdmissionPolicy PodLevelResources \
         PodLifecycleSleepActionAllowZero PodLogsQuerySplitStreams RelaxedDNSSearchValidation \
         RemoteRequestHeaderUID SELinuxChangePolicy SchedulerAsyncPreemption \
         ServiceAccountNodeAudienceRestriction SystemdWatchdog WindowsCPUAndMemoryAffinity \
         WindowsGracefulNodeShutdown",
    ),
    (
        33,
        "AggregatedDiscoveryRemoveBetaType AllowParsingUserUIDFromCertAuth ContainerStopSignals \
         DRADeviceTaints DRAPartitionableDevices DRAPrioritizedList DeclarativeValidation \
         DeclarativeValidationTakeover DeploymentReplicaSetTerminatingReplicas \
         DisableCPUQuotaWithExclusiveCPUs GitRepoVolumeDriver HPAConfigurableTolerance \
         KubeletEnsureSecretPulledImages KubeletPSI KubeletServiceAccountTokenForCredentialProviders \
         ListFromCacheSnapshot MutableCSINodeAllocatableCount PodObservedGenerationTracking \
         PodTopologyLabelsAdmission PreferSameTrafficDistribution ReduceDefaultCrashLoopBackOffDecay \
         SchedulerPopFromBackoffQ StorageCapacityScoring StreamingCollectionEncodingToJSON \
         StreamingCollectionEncodingToProtobuf StrictIPCIDRValidation",
    ),
    (
        34,
        "ClearingNominatedNodeNameAfterBinding ContainerRestartRules DRAConsumableCapacity \
         DRADeviceBindingConditions DRAExtendedResource DRASchedulerFilterTimeout DetectCacheInconsistency \
         EnvFiles HostnameOverride InPlacePodVerticalScalingExclusiveMemory \
         KubeletPodResourcesListUseActivePods MatchLabelKeysInPodTopologySpreadSelectorMerge \
         NominatedNodeNameForExpectation PodCertificateRequest PreventStaticPodAPIReferences \
         RelaxedServiceNameValidation SchedulerAsyncAPICalls SizeBasedListCostEstimate \
         StructuredAuthenticationConfigurationEgressSelector TokenRequestServiceAccountUIDValidation",
    ),
    (
        35,
        "AuthorizePodWebsocketUpgradeCreatePermission CRDObservedGenerationTracking \
         CSIServiceAccountTokenSecrets ChangeContainerStatusOnKubeletRestart \
         CloudControllerManagerWatchBasedRoutesReconciliation ConstrainedImpersonation DRADeviceTaintRules \
         GangScheduling GenericWorkload ImageVolumeWithDigest InPlacePodLevelResourcesVerticalScaling \
         MutablePVNodeAffinity MutablePodResourcesForSuspendedJobs \
         MutableSchedulingDirectivesForSuspendedJobs NodeDeclaredFeatures OpportunisticBatching \
         RestartAllContainersOnContainerExits StructuredAuthenticationConfigurationJWKSMetrics \
         TaintTolerationComparisonOperators UserNamespacesHostNetworkSupport VolumeLimitScaling",
    ),
    (
        36,
        "AllowServiceExternalIPs CRIListStreaming ControllerManagerReleaseLeaderElectionLockOnExit \
         DRAListTypeAttributes DRANodeAllocatableResources DRAResourceClaimGranularStatusAuthorization \
         DRAResourcePoolStatus DRAWorkloadResourceClaims DeclarativeValidationBeta ExtendWebSocketsToKubelet \
         InPlacePodVerticalScalingInitContainers ManifestBasedAdmissionControlConfig NativeHistograms \
         PLEGOnDemandRelist PersistentVolumeClaimUnusedSinceTime PodLevelResourceManagers PodsAPI \
         ReloadKubeletClientCAFile ResourceHealthStatusMessage ServiceCIDRStatusFieldWiping \
         ShardedListAndWatch StaleControllerConsistencyDaemonSet StaleControllerConsistencyJob \
         StaleControllerConsistencyReplicaSet StaleControllerConsistencyStatefulSet \
         StatefulSetSemanticRevisionComparison TopologyAwareWorkloadScheduling WorkloadAwarePreemption \
         WorkloadWithJob",
    ),
];

/// Gates of the library that all components call apiservers with, of which no list says since when.
const OF_CLIENTS: &str = "AtomicFIFO ClientsAllowCARotation ClientsAllowCBOR ClientsAllowTLSCacheGC ClientsPreferCBOR \
                          InOrderInformers InOrderInformersBatchProcess InformerResourceVersion \
                          UnlockWhileProcessingFIFO WatchListClient";

/// What a version makes of a gate that it is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Known,
    /// It came with this minor.
    NotYet(u64),
    /// This minor has removed it.
    Gone(u64),
    /// No release that this kubexm knows has it. A newer one may.
    Unheard,
}

/// What this version makes of a gate.
pub(crate) fn gate(name: &str, version: &Version) -> Gate {
    let row = |table: &[(u64, &str)]| {
        let mut rows = table.iter();
        let named = |gates: &str| gates.split(' ').any(|known| known == name);
        rows.find(|(_, gates)| named(gates))
            .map(|(minor, _)| *minor)
    };
    let (_, minor) = version.minor();
    let since = row(KNOWN);
    match (row(REMOVED), since) {
        (Some(gone), _) if minor >= gone => Gate::Gone(gone),
        (_, Some(since)) if minor < since => Gate::NotYet(since),
        (None, None) if !OF_CLIENTS.split(' ').any(|known| known == name) => Gate::Unheard,
        _ => Gate::Known,
    }
}

/// The newest minor of which all gates are known.
pub(crate) const NEWEST: u64 = 36;

#[cfg(test)]
mod tests;
