//! Parts of the API that came and went, for charts that ask for them. helm's own list is that of one version.

/// Group and version, the minor that brought it, and the one that took it away.
const APIS: &[(&str, u64, Option<u64>)] = &[
    (
        "admissionregistration.k8s.io/v1beta1/ValidatingAdmissionPolicy",
        28,
        None,
    ),
    ("autoscaling/v2beta1", 0, Some(25)),
    ("autoscaling/v2beta2", 0, Some(26)),
    ("batch/v1beta1", 0, Some(25)),
    ("discovery.k8s.io/v1beta1", 0, Some(25)),
    ("policy/v1beta1", 0, Some(25)),
    ("policy/v1beta1/PodSecurityPolicy", 0, Some(25)),
    ("policy/v1beta1/PodDisruptionBudget", 0, Some(25)),
    ("policy/v1/PodDisruptionBudget", 21, None),
    ("networking.k8s.io/v1/Ingress", 19, None),
];

/// What a Kubernetes of this minor serves beside what helm knows.
pub(crate) fn api_versions(minor: (u64, u64)) -> impl Iterator<Item = String> {
    let serves = move |(_, since, until): &&(&str, u64, Option<u64>)| {
        minor.1 >= *since && until.is_none_or(|until| minor.1 < until)
    };
    APIS.iter()
        .filter(serves)
        .map(|(api, ..)| (*api).to_owned())
}
