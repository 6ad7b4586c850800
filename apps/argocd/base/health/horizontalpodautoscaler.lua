-- The built-in check calls an autoscaler Degraded while metrics are missing, as they are for every new pod.
local waiting = {
  FailedGetResourceMetric = true,
  FailedGetObjectMetric = true,
  FailedGetPodsMetric = true,
  FailedGetExternalMetric = true,
  FailedComputeMetricsReplicas = true,
}
local broken = { FailedGetScale = true, FailedUpdateScale = true, InvalidSelector = true }
local health = { status = "Progressing", message = "Waiting to autoscale" }
if obj.status == nil or obj.status.conditions == nil then
  return health
end
for _, condition in ipairs(obj.status.conditions) do
  if broken[condition.reason] then
    return { status = "Degraded", message = condition.message }
  end
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "ScalingActive" and condition.status == "False" and waiting[condition.reason] then
    return { status = "Progressing", message = condition.message }
  end
end
for _, condition in ipairs(obj.status.conditions) do
  if (condition.type == "AbleToScale" or condition.type == "ScalingLimited") and condition.status == "True" then
    return { status = "Healthy", message = condition.message }
  end
end
return health
